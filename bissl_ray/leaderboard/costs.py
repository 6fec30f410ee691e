"""What a sweep has cost: by step, by rung, and what stopping trials early has left out (issue 17)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path
from typing import Final

from bissl_ray.config.protocol import Protocol
from bissl_ray.errors import BadInputError
from bissl_ray.leaderboard.configurations import finite
from bissl_ray.leaderboard.numbers import duration
from bissl_ray.store import read_reports, read_trials, to_rows
from bissl_ray.store.documents import read_sweep_document
from bissl_ray.store.schema import Row
from bissl_ray.words import ALIGNING, Phase, Status, Step

EXPLORING: Final = "exploring"
_STEPS: Final[Mapping[tuple[str, str], str]] = {
    (Phase.EXPLORE, Step.SEARCH): EXPLORING,
    (Phase.CONFIRM, Step.TUNING): "fine-tuning points of the finalists",
    (Phase.CONFIRM, Step.SEEDS): "confirming over seeds",
    (Phase.CONTROL, Step.TUNING): "fine-tuning points of the control",
    (Phase.CONTROL, Step.SEEDS): "the control over seeds",
}
"""In the order in which they are told."""


@dataclass(frozen=True)
class Spent:
    """What runs of one kind took.

    Attributes:
        what: it was for, in words.
        runs: how many.
        seconds: of all of them; of a trial under way as far as its last report.
        gpu_seconds: likewise; None: not known.
        products: curvature products of all.
        peak_memory: bytes, the largest of any; None: not known.
    """

    what: str
    runs: int
    seconds: float
    gpu_seconds: float | None = None
    products: int | None = None
    peak_memory: int | None = None


@dataclass(frozen=True)
class Costs:
    """What a sweep has cost.

    Attributes:
        dataset: of the sweep.
        sweep: its name.
        steps: what each step took.
        rungs: what exploring took from each rung to the next, the head's warm-up before the first.
        stopped: explore trials that were stopped early.
        left_out: alternations that these would have had yet.
        asked: alternations that all explore trials would have had.
        saved: seconds that these would have taken, each at the pace of its own trial.
    """

    dataset: str
    sweep: str
    steps: tuple[Spent, ...]
    rungs: tuple[Spent, ...]
    stopped: int
    left_out: int
    asked: int
    saved: float

    @property
    def total(self) -> Spent:
        """Of all steps."""
        return _spent(self.steps)

    @property
    def sentence(self) -> str:
        """What stopping has left out; empty where nothing was stopped."""
        if not self.stopped:
            return ""
        trials = "1 trial" if self.stopped == 1 else f"{self.stopped} trials"
        return (
            f"Stopping {trials} early left out {self.left_out} of {self.asked} alternations, about "
            f"{duration(self.saved)} at the pace that they had."
        )


def read_costs(storage: str | Path, dataset: str | None = None, sweep: str | None = None) -> list[Costs]:
    """What each sweep of a storage has cost, or those of a dataset, or one.

    Args:
        storage: a local path or a URI that pyarrow knows.
        dataset: only this one.
        sweep: only this one.

    Warns:
        DamagedFileWarning: as `store.read_trials`; where a sweep's document can't be read, its rungs are left out.
    """
    named = itemgetter("dataset", "sweep")
    reports: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for report in to_rows(read_reports(storage, dataset, sweep)):
        reports[named(report)].append(report)
    ordered = sorted(to_rows(read_trials(storage, dataset, sweep)), key=named)
    return [
        costs(rows, reports[of_sweep], _protocol(storage, of_sweep[1]))
        for of_sweep, rows in groupby(ordered, key=named)
    ]


def _protocol(storage: str | Path, sweep: str) -> Protocol | None:
    try:
        return read_sweep_document(storage, sweep).request.space.protocol
    except BadInputError:
        return None


def costs(trials: Iterable[Row], reports: Iterable[Row], protocol: Protocol | None) -> Costs:
    """Add up one sweep.

    Args:
        trials: its rows.
        reports: its reports.
        protocol: of the sweep, which says where its rungs are; None: not known.
    """
    rows = list(trials)
    kinds = {kind: [row for row in rows if (row["phase"], row["step"]) == kind] for kind in _STEPS}
    explored = kinds[Phase.EXPLORE, Step.SEARCH]
    curves = _curves(explored, reports)
    # In a population another goes on for whoever ends at a rung.
    followed = protocol is not None and protocol.at_a_rung == "exploit"
    stopped = [] if followed else [row for row in explored if row["status"] == Status.PRUNED]
    climbs = [(_alternations(row) - _reached(curves[row["trial"]]), _pace(curves[row["trial"]])) for row in stopped]
    return Costs(
        dataset=rows[0]["dataset"],
        sweep=rows[0]["sweep"],
        steps=tuple(replace(_of_rows(found), what=_STEPS[kind]) for kind, found in kinds.items() if found),
        rungs=() if protocol is None or not protocol.early_stopping else _rungs(explored, curves, protocol),
        stopped=len(stopped),
        left_out=sum(left for left, _ in climbs),
        asked=sum(map(_alternations, explored)),
        saved=sum(left * pace for left, pace in climbs),
    )


def _of_rows(rows: Sequence[Row]) -> Spent:
    return _spent(
        [
            Spent("", 1, finite(row["seconds"]) or 0.0, row["gpu_seconds"], row["hvps"], row["peak_memory"])
            for row in rows
        ]
    )


def _spent(parts: Sequence[Spent]) -> Spent:
    gpu = [part.gpu_seconds for part in parts if part.gpu_seconds is not None]
    products = [part.products for part in parts if part.products is not None]
    memory = [part.peak_memory for part in parts if part.peak_memory is not None]
    return Spent(
        what="",
        runs=sum(part.runs for part in parts),
        seconds=sum(part.seconds for part in parts),
        gpu_seconds=sum(gpu) if gpu else None,
        products=sum(products) if products else None,
        peak_memory=max(memory, default=None),
    )


def _curves(explored: Sequence[Row], reports: Iterable[Row]) -> dict[str, dict[int, float]]:
    """Of each explore trial, the seconds since its start by alternation."""
    curves: dict[str, dict[int, float]] = {row["trial"]: {} for row in explored}
    for report in reports:
        seconds = finite(report["seconds"])
        if report["trial"] in curves and report["stage"] in ALIGNING and seconds is not None:
            curves[report["trial"]][report["alternation"]] = seconds
    return curves


def _rungs(explored: Sequence[Row], curves: Mapping[str, Mapping[int, float]], protocol: Protocol) -> tuple[Spent, ...]:
    found = []
    longest = max(map(_alternations, explored), default=0)
    for low, high in pairwise([0, *protocol.rungs(longest), longest]):
        here = [curve for curve in curves.values() if min(curve, default=high + 1) <= high and _reached(curve) > low]
        seconds = sum(_at(curve, high) - (_at(curve, low) if low else 0.0) for curve in here)
        if here:
            name = f"to alternation {high}" if low == 0 else f"from {low} to {high}"
            found.append(Spent(name, len(here), seconds))
    return tuple(found)


def _at(curve: Mapping[int, float], alternation: int) -> float:
    """Seconds until the last report that is not beyond an alternation."""
    return max((seconds for number, seconds in curve.items() if number <= alternation), default=0.0)


def _reached(curve: Mapping[int, float]) -> int:
    return max(curve, default=0)


def _pace(curve: Mapping[int, float]) -> float:
    """Seconds of an alternation: what comes before the first is not counted where there is more than one."""
    if len(curve) < 2:
        return sum(curve.values())
    first, last = min(curve), max(curve)
    return (curve[last] - curve[first]) / (last - first)


def _alternations(row: Row) -> int:
    """What a trial would have had to its end."""
    return int(row.get("param_alternations") or row["alternations"] or 0)
