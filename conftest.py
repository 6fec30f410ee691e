"""Shared by every test: the checkout's root is importable, here and in the processes that tests start."""

import os
import sys
from pathlib import Path

import pytest
import torch

ROOT = str(Path(__file__).parent)
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)

torch.set_num_threads(1)

_LONGEST = ("stages/test_two_workers.py", "sweep/test_detection_sweep.py", "training/test_detection.py")
"""Files that take minutes in one test: begun last, they would keep one process busy while the other has no more."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first: two processes that take file by file then end together."""
    items.sort(key=lambda item: not item.path.as_posix().endswith(_LONGEST))


@pytest.fixture(autouse=True, scope="session")
def _cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Decoded images of tests, and of processes that tests start, go where pytest cleans up."""
    os.environ["BISSL_RAY_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True, scope="session")
def _nothing_said_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What the developer says once, in files or the environment, doesn't reach tests and processes that they start."""
    for name in [name for name in os.environ if name.startswith("BISSL_RAY_")]:
        if name not in ("BISSL_RAY_CACHE", "BISSL_RAY_PLUGINS"):
            del os.environ[name]
    os.environ["XDG_CONFIG_HOME"] = str(tmp_path_factory.mktemp("config"))
    os.environ["BISSL_RAY_CONFIG"] = os.devnull  # in place of the nearest bissl-ray.toml
