"""Fetching, for tests and for the processes that they start: it imports little."""

from pathlib import Path

from bissl_ray.preflight.sources.address import parsed
from bissl_ray.preflight.sources.fetch import fetch


def get(address: str) -> Path:
    """The copy of what is at an address."""
    found = parsed(address)
    assert found is not None
    return fetch(found).file
