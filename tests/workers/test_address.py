"""Which cluster is meant: one decision, from the flag or RAY_ADDRESS."""

from pathlib import Path

import pytest

import bissl_ray
from bissl_ray.errors import BadInputError
from bissl_ray.workers.address import chosen_address, host_and_port

HERE = None


@pytest.mark.parametrize(
    ("flag", "variable", "chosen"),
    [
        (None, None, HERE),
        ("", "", HERE),
        (" ", "local", HERE),
        (None, "LOCAL", HERE),
        ("local", "127.0.0.1:6379", HERE),
        ("", "127.0.0.1:6379", "127.0.0.1:6379"),
        ("auto", "local", "auto"),
        (" Auto/ ", None, "auto"),
        (None, " head:6379/ ", "head:6379"),
        ("[::1]:6379", None, "[::1]:6379"),
    ],
)
def test_what_is_meant(monkeypatch, flag, variable, chosen):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if variable is not None:
        monkeypatch.setenv("RAY_ADDRESS", variable)
    assert chosen_address(flag) == chosen


MALFORMED = [
    *("head", "head:", ":6379", "head:port", "127.0.0.1:6379x", "127.0.0.1:99999", "127.0.0.1:0"),
    *("::1", "::1:6379", "[::1]", "[]:6379", "[head]:6379", "tcp://head:6379", "redis://head:6379", "a b:1", "locale"),
    *("127.0.0.1:٣", "me@head:6379", "head:6379?x"),
]


@pytest.mark.parametrize("address", MALFORMED)
@pytest.mark.parametrize("source", ["--address", "RAY_ADDRESS"])
def test_what_is_malformed_is_refused_with_its_source(monkeypatch, source, address):
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(BadInputError) as refused:
        chosen_address(address if source == "--address" else None)
    assert str(refused.value).startswith(f"{source} {address}: expected 'auto', 'local' or HOST:PORT")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("address", ["http://127.0.0.1:8265", "HTTPS://head:8265/"])
def test_a_dashboard_is_no_cluster(address):
    with pytest.raises(BadInputError, match=r"is the address of a dashboard, not of the cluster itself: expected"):
        chosen_address(address)


@pytest.mark.parametrize("address", ["ray://head:10001/", "RAY://[fe80::1]:10001", "ray://me:secret@head:1"])
def test_a_ray_client_is_refused_with_the_reason_and_what_to_do(address):
    with pytest.raises(BadInputError, match=r"^--address (ray|RAY)://.* is for Ray clients: ") as refused:
        chosen_address(address)
    assert "ray job submit --address http://HEAD:8265 -- bissl-ray" in str(refused.value)
    assert "\n" not in str(refused.value) and "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("address", "parts"),
    [("head:1", ("head", 1)), ("[::1]:6379", ("::1", 6379))],
)
def test_host_and_port(address, parts):
    assert host_and_port(address) == parts


def test_nobody_else_decides():
    package = Path(bissl_ray.__file__).parent
    readers = [path for path in package.rglob("*.py") if 'get("RAY_ADDRESS")' in path.read_text()]
    assert readers == [package / "workers/address.py"]
