from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from bissl_ray.store import SweepWriter, read_trials, to_rows

PARAMETERS: dict[str, type] = {"upper_lr": float, "cg_iterations": int, "finetune_lr": float, "solver": str}


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def explore() -> Callable[..., dict[str, Any]]:
    def row(trial: str, objective: float | None, status: str = "complete", **more: Any) -> dict[str, Any]:
        return {
            "trial": trial,
            "status": status,
            "phase": "explore",
            "step": "search",
            "objective": objective,
            "objective_name": "top1",
            "seconds": 10.0,
            "param_finetune_lr": 0.03,
        } | more

    return row


@pytest.fixture
def seeds() -> Callable[..., list[dict[str, Any]]]:
    """The confirmation runs of one parent: seed -> objective, and the test metric for those that have it."""

    def rows(
        parent: str, objectives: dict[int, float], test: dict[int, float] | None = None, phase: str = "confirm"
    ) -> list[dict[str, Any]]:
        return [
            {
                "trial": f"{parent}-seed{seed}",
                "parent": parent,
                "status": "complete",
                "phase": phase,
                "step": "seeds",
                "seed": seed,
                "objective": objective,
                "objective_name": "top1",
                "test_metric": (test or {}).get(seed),
                "seconds": 100.0,
                "param_finetune_lr": 0.02,
            }
            for seed, objective in objectives.items()
        ]

    return rows


@pytest.fixture
def control() -> Callable[..., dict[str, Any]]:
    def row(trial: str, objective: float) -> dict[str, Any]:
        return {
            "trial": trial,
            "status": "complete",
            "phase": "control",
            "step": "tuning",
            "objective": objective,
            "objective_name": "top1",
            "seconds": 50.0,
            "param_finetune_lr": 0.02,
        }

    return row


@pytest.fixture
def stored(storage: Path) -> Callable[..., list[dict[str, Any]]]:
    """Write rows through the real store and read them back."""

    def through(rows: Iterable[dict[str, Any]], dataset: str = "cars", sweep: str = "first") -> list[dict[str, Any]]:
        with SweepWriter(storage, dataset, sweep, PARAMETERS) as writer:
            for row in rows:
                writer.trial(row)
        return to_rows(read_trials(storage))

    return through


@pytest.fixture
def decided(explore, seeds, control, stored) -> list[dict[str, Any]]:
    """A sweep with a winner, a runner-up, a control of two points, and trials of every status."""
    return stored(
        [
            explore("a", 0.50, param_upper_lr=0.01, param_cg_iterations=0),
            explore("b", 0.60, param_upper_lr=0.02, param_cg_iterations=5),
            explore("c", 0.55, "pruned", param_upper_lr=0.3, param_cg_iterations=7),
            explore("d", None, "failed", status_reason="CUDA out of memory", param_upper_lr=0.4),
            explore("e", 0.58, "running", param_upper_lr=0.05, param_cg_iterations=3),
            *seeds("a", {0: 0.70, 1: 0.72, 2: 0.74}, test={0: 0.69, 1: 0.70, 2: 0.74}),
            *seeds("b", {0: 0.60, 1: 0.62}),
            control("k0", 0.66),
            control("k1", 0.65),
            *seeds("k1", {0: 0.68, 1: 0.69, 2: 0.67}, test={0: 0.66, 1: 0.68, 2: 0.70}, phase="control"),
        ]
    )
