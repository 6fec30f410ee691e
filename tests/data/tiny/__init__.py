"""Tiny datasets in the real layouts, each learnable: for every test that needs a data folder."""

from collections.abc import Callable
from pathlib import Path

from tests.data.tiny.cars import write_tiny_cars

WRITERS: dict[str, Callable[[Path], Path]] = {
    "cars": write_tiny_cars,
}
"""For each dataset that needs a data folder, what writes one and returns it."""


def write_tiny(name: str, root: Path) -> Path:
    """Write a tiny copy of dataset `name` under `root`, an empty folder, and return the data folder to give."""
    return WRITERS[name](root)
