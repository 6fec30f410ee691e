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


def test_an_address_where_nothing_listens_is_refused(own_socket):
    address = f"127.0.0.1:{own_socket.getsockname()[1]}"
    message = refusal(address)
    assert f"nothing answers at {address}" in message
    assert "Connection refused" in message


def test_something_that_is_silent_is_refused_when_patience_ends(own_socket, monkeypatch):
    monkeypatch.setattr(join, "_PATIENCE_S", 0.5)
    own_socket.listen()
    port = own_socket.getsockname()[1]
    message = refusal(f"127.0.0.1:{port}")
    assert f"no Ray cluster could be joined at 127.0.0.1:{port}" in message


@pytest.mark.parametrize(
    ("theirs", "take"),
    [
        (("2.56.1", "3.11.7"), "here, take pip install 'ray[default,tune,train]==2.56.1'"),
        (("2.60.0", "3.12.1"), "here, take an environment of Python 3.12"),
        (
            ("2.56.1", "3.12.1"),
            "here, take an environment of Python 3.12, and there pip install 'ray[default,tune,train]==2.56.1'",
        ),
    ],
)
def test_a_cluster_of_other_versions_is_refused_with_both_and_what_to_install(own_socket, monkeypatch, theirs, take):
    own_socket.listen()
    said = "Version mismatch: The cluster was started with:\\n    Ray: {}\\n    Python: {}\\n"
    said += "This process on node 127.0.0.1 was started with:\\n    Ray: 2.60.0\\n    Python: 3.11.7\\n"
    monkeypatch.setattr(join, "_TRY", f"raise RuntimeError('{said.format(*theirs)}')")
    message = refusal(f"127.0.0.1:{own_socket.getsockname()[1]}")
    ray, python = theirs
    assert f"runs Ray {ray} on Python {python}, and here it is Ray 2.60.0 on Python 3.11.7" in message
    assert message.endswith(take)
