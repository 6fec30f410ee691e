"""Addresses where no cluster can be joined are refused at once, or when patience ends, without importing Ray here."""

import socket

import pytest

from bissl_ray.errors import BadInputError
from bissl_ray.workers import join
from bissl_ray.workers.join import check_cluster


@pytest.fixture
def own_socket():
    """A port of this machine that is ours: nobody listens on it unless the test does."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken


def refusal(address):
    with pytest.raises(BadInputError) as caught:
        check_cluster(address)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_where_nothing_listens_is_refused(own_socket, scheme):
    address = f"{scheme}127.0.0.1:{own_socket.getsockname()[1]}"
    message = refusal(address)
    assert f"nothing answers at {address}" in message
    assert "Connection refused" in message


def test_something_that_is_silent_is_refused_when_patience_ends(own_socket, monkeypatch):
    monkeypatch.setattr(join, "_PATIENCE_S", 0.5)
    own_socket.listen()
    port = own_socket.getsockname()[1]
    message = refusal(f"127.0.0.1:{port}")
    assert f"no Ray cluster could be joined at 127.0.0.1:{port}" in message
