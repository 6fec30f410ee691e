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


MISMATCH = """Version mismatch: The cluster was started with:
    Ray: 2.56.1
    Python: 3.12.1
This process on node 127.0.0.1 was started with:
    Ray: 2.60.0
    Python: 3.11.7
"""
"""As Ray says it, when the versions of a cluster are not this process's."""


def test_a_cluster_of_other_versions_is_refused_in_one_line(own_socket, monkeypatch):
    own_socket.listen()
    monkeypatch.setattr(join, "_TRY", f"raise RuntimeError({MISMATCH!r})")
    message = refusal(f"127.0.0.1:{own_socket.getsockname()[1]}")
    assert "runs Ray 2.56.1 on Python 3.12.1, and here it is Ray 2.60.0 on Python 3.11.7" in message


def test_a_cluster_that_an_older_ray_gets_no_answer_of_is_told_by_its_own_record(own_socket, monkeypatch):
    """Ray 2.52 waits 40 s for what the head of 2.60 does not tell it, and then says nothing of versions."""
    own_socket.listen()
    said = "print('SIDES 2.60.0 3.11.7 2.52.0 3.11.7', flush=True); import time; time.sleep(60)"
    monkeypatch.setattr(join, "_TRY", said)
    message = refusal(f"127.0.0.1:{own_socket.getsockname()[1]}")
    assert "runs Ray 2.60.0 on Python 3.11.7, and here it is Ray 2.52.0" in message
    assert "pip install 'ray[default,tune,train]==2.60.0'" in message


def test_versions_are_read_once_they_are_all_there(own_socket, monkeypatch):
    own_socket.listen()
    first, rest = MISMATCH[:-4], MISMATCH[-4:]
    said = f"sys.stderr.write({first!r}); sys.stderr.flush(); time.sleep(1); sys.stderr.write({rest!r})"
    monkeypatch.setattr(join, "_TRY", f"import sys, time; {said}")
    assert "on Python 3.11.7: " in refusal(f"127.0.0.1:{own_socket.getsockname()[1]}")
