"""What tests do to a sweep in the middle of it, and what must be there afterwards."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from bissl_ray.store import read_reports, read_trials, to_rows
from bissl_ray.store.schema import KEYS

FEW: Final = {"trials": 4, "finalists": 1, "finetune_runs": 1}
"""Enough to be cut off in the middle of."""
_PATIENCE_S: Final = 120.0


def wait_for_reports(
    storage: str | Path, process: "subprocess.Popen[str]", enough: Callable[[list[Any]], bool]
) -> list[dict[str, Any]]:
    """The reports of a sweep that runs, as soon as they are enough."""
    deadline = time.monotonic() + _PATIENCE_S
    while not enough(reports := to_rows(read_reports(storage))):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return reports


def told(row: dict[str, Any]) -> tuple[Any, ...]:
    """Which report a row is."""
    return tuple(row[name] for name in KEYS["reports"])


def assert_kept(before: list[dict[str, Any]], storage: str | Path) -> None:
    """Every report is there once, and those of before as they were."""
    now = to_rows(read_reports(storage))
    kept = {told(row): row for row in now}
    assert len(kept) == len(now), "a report is there twice"
    for row in before:
        assert kept[told(row)]["objective"] == row["objective"]


def assert_whole(storage: str | Path, sweep: str) -> None:
    """A sweep has come to its end: each trial with all of its reports, and winner and control were tested."""
    rows = to_rows(read_trials(storage, sweep=sweep))
    assert {row["status"] for row in rows} <= {"complete", "pruned"}
    assert sum(row["step"] == "search" for row in rows) == FEW["trials"]
    assert sum(row["test_metric"] is not None for row in rows) == 4
    reports = to_rows(read_reports(storage, sweep=sweep))
    for row in rows:
        curve = sorted(
            each["alternation"] for each in reports if each["trial"] == row["trial"] and each["stage"] == "bissl"
        )
        assert curve == list(range(1, (row["alternations"] or 0) + 1)), row["trial"]
