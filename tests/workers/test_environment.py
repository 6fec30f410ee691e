"""What Ray reads from the environment: ours where the user has said nothing. Addresses that can't be joined: refused.

They are at once, or when patience ends, and without importing Ray here.
"""

import os
import socket
import subprocess
import sys

import pytest

from bissl_ray.errors import BadInputError
from bissl_ray.workers import environment
from bissl_ray.workers.environment import check_cluster, prepare, worker_environment


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    for name in [name for name in os.environ if name.startswith(("RAY_", "TUNE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(os, "environ", dict(os.environ))


def test_what_the_user_has_set_stays():
    os.environ["RAY_USAGE_STATS_ENABLED"] = "1"
    prepare(None)
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "1"
    assert os.environ["TUNE_DISABLE_SIGINT_HANDLER"] == "1"


def test_usage_statistics_are_off_and_a_local_cluster_wants_a_token():
    prepare(None)
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert os.environ["RAY_AUTH_MODE"] == "token"


def test_another_cluster_that_cannot_be_joined_is_refused():
    with pytest.raises(BadInputError, match=r"expected 'auto' or HOST:PORT"):
        prepare("head-node")
    assert "RAY_AUTH_MODE" not in os.environ


def test_workers_get_the_same_and_no_token():
    os.environ["RAY_AUTH_TOKEN"] = "secret"
    prepare(None)
    passed_on = worker_environment()
    assert passed_on["RAY_USAGE_STATS_ENABLED"] == "0"
    assert all("AUTH" not in name for name in passed_on)


def test_workers_of_any_cluster_know_the_plugins():
    os.environ["BISSL_RAY_PLUGINS"] = "my_package.my_task"
    assert worker_environment()["BISSL_RAY_PLUGINS"] == "my_package.my_task"


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


@pytest.mark.parametrize(
    "address",
    ["", "head", "head:", ":6379", "head:port", "127.0.0.1:6379x", "127.0.0.1:99999", "127.0.0.1:0", "ray://"],
)
def test_a_malformed_address_is_refused(address):
    assert "expected 'auto' or HOST:PORT" in refusal(address)


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_where_nothing_listens_is_refused(own_socket, scheme):
    address = f"{scheme}127.0.0.1:{own_socket.getsockname()[1]}"
    message = refusal(address)
    assert f"nothing answers at {address}" in message
    assert "Connection refused" in message


def test_something_that_is_silent_is_refused_when_patience_ends(own_socket, monkeypatch):
    monkeypatch.setattr(environment, "_PATIENCE_S", 0.5)
    own_socket.listen()
    port = own_socket.getsockname()[1]
    message = refusal(f"127.0.0.1:{port}")
    assert f"no Ray cluster could be joined at 127.0.0.1:{port}" in message


def test_it_imports_no_ray():
    code = f"import sys, {environment.__name__}; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
