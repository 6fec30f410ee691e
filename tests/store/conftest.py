from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bissl_ray.store import SweepWriter


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def start() -> Callable[..., dict[str, Any]]:
    """A first row of an explore trial."""

    def row(trial: str, **more: Any) -> dict[str, Any]:
        return {"trial": trial, "status": "running", "phase": "explore", "step": "search"} | more

    return row


@pytest.fixture
def open_writer(storage: Path) -> Callable[..., SweepWriter]:
    def opened(sweep: str = "first", dataset: str = "cars", **parameters: type) -> SweepWriter:
        return SweepWriter(storage, dataset, sweep, parameters or {"upper_lr": float, "cg_iterations": int})

    return opened
