"""Rows of a sweep, as all of its files have them: what can't be read, and what contradicts itself."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
from pyarrow.fs import FileSystem

from bissl_ray.preflight.doctor.findings import Finding, State, listed
from bissl_ray.preflight.doctor.inventory import below
from bissl_ray.search.lost import find_lost, missing_reports
from bissl_ray.store.parquet import names_in, read_content
from bissl_ray.store.paths import list_files
from bissl_ray.store.reader import Damaged, read_files
from bissl_ray.store.schema import COLUMNS, REPORT_FIGURES, Row, RowKind, report_key
from bissl_ray.store.tables import newest, to_rows, unify
from bissl_ray.words import Status

GoesOn = Callable[[], tuple[list[str], list[str]]]
"""Gives the trials that resuming runs again, and those whose places others take (`search.history.runs_again`)."""

_LISTINGS: Final = 20
_OPEN: Final = frozenset({Status.RUNNING, Status.PAUSED})


@dataclass(frozen=True)
class SweepRows:
    """All rows of a sweep.

    Attributes:
        sweep: its name.
        trials: the newest row of each trial, by name.
        told: every row of a trial that any file has, oldest first.
        reports: every report that any file has.
        damaged: files that can't be read.
        files: how many there are.
    """

    sweep: str
    trials: dict[str, Row]
    told: list[Row]
    reports: list[Row]
    damaged: list[Damaged]
    files: int

    def of(self, trial: str) -> list[Row]:
        """The reports of a trial."""
        return [row for row in self.reports if row["trial"] == trial]


def read_rows(filesystem: FileSystem, base: str, sweep: str, datasets: Iterable[str]) -> SweepRows:
    """Read every file of a sweep (raises OSError: the storage refuses)."""
    told: dict[RowKind, list[pa.Table]] = {kind: [] for kind in COLUMNS}
    damaged: list[Damaged] = []
    files = 0
    for dataset in sorted(datasets):
        for kind in COLUMNS:
            good, bad, count = _of_kind(filesystem, base, kind, dataset, sweep)
            told[kind] += good
            damaged += bad
            files += count
    whole = {kind: unify(tables, kind) for kind, tables in told.items()}
    trials = {row["trial"]: row for row in to_rows(newest(whole["trials"], "trials"))}
    return SweepRows(sweep, trials, to_rows(whole["trials"]), to_rows(whole["reports"]), damaged, files)


def _of_kind(
    filesystem: FileSystem, base: str, kind: RowKind, dataset: str, sweep: str
) -> tuple[list[pa.Table], list[Damaged], int]:
    for remaining in reversed(range(_LISTINGS)):
        files = list_files(filesystem, base, kind, dataset, sweep)
        try:
            good, damaged = read_files(filesystem, files)
        except FileNotFoundError:  # who runs it has merged some
            if not remaining:
                raise
        else:
            return [table for _, table in good], damaged, len(files)
    raise AssertionError


def look_at_rows(
    filesystem: FileSystem, base: str, rows: SweepRows, is_held: bool, goes_on: GoesOn | None
) -> Iterator[Finding]:
    """Say what is wrong with the rows of a sweep.

    Args:
        filesystem: as `open_storage` gives it.
        base: path of the storage on it.
        rows: of the sweep.
        is_held: whether somebody runs it.
        goes_on: what resuming it would do; None: without its document it can't be.
    """
    for damaged in rows.damaged:
        yield _damaged(filesystem, base, damaged, rows, goes_on)
    yield from _ended_twice(rows)
    yield from _told_twice(rows)
    yield from _incomplete(rows, is_held)
    rowless = sorted(find_lost(rows.trials.values(), rows.reports).rowless)
    if rowless and not is_held:  # else one may have begun since rows of trials were read
        state = State.NOTE if rows.damaged else State.DAMAGED
        found = f"{listed(rowless)} left reports, or trials that come from it, and no row"
        yield Finding(state, "rows", rows.sweep, found, "no other trial is given such a name")
    waiting = [row["trial"] for row in rows.trials.values() if row["status"] in _OPEN]
    if waiting and not is_held:
        then = "without its document they can't go on" if goes_on is None else "resume takes them up"
        yield Finding(State.NOTE, "rows", rows.sweep, f"nobody runs it, and it has not ended: {listed(waiting)}", then)


def _damaged(filesystem: FileSystem, base: str, damaged: Damaged, rows: SweepRows, goes_on: GoesOn | None) -> Finding:
    """A file that can't be read: which trials are left without it, and which run again."""
    stored = damaged.stored
    kept = []
    if stored.kind == "trials":
        held = names_in(read_content(filesystem, stored))
        if held:
            kept.append(f"it held rows of {listed(held)}, as far as that can be told")
        shown = sorted(rows.trials)
        kept.append(f"shown from other files: {listed(shown)}" if shown else "no other file of the sweep has a row")
    else:
        holes = sorted(name for name, row in rows.trials.items() if missing_reports(row, rows.of(name)) is not None)
        kept.append("what trials came to is in their rows, in other files")
        if holes:
            kept.append(f"curves with holes: {listed(holes)}")
    if goes_on is None:
        kept.append("without its document the sweep can't be resumed")
    else:
        again, replaced = goes_on()
        kept.append(f"resume runs again from the beginning: {listed(again)}" if again else "resume runs no trial again")
        if replaced:
            kept.append(f"other trials take the place of {listed(replaced)}")
    kept.append("put it back from a copy of yours; delete it if there is none")
    return Finding(State.DAMAGED, "results file", below(base, stored.path), damaged.reason, "; ".join(kept))


def _ended_twice(rows: SweepRows) -> Iterator[Finding]:
    """Trials of which files tell two ends, or that went on after one."""
    ends: defaultdict[str, dict[Any, str]] = defaultdict(dict)
    last: dict[str, str] = {}
    for row in sorted(rows.told, key=lambda row: (row["updated_at"] is not None, row["updated_at"])):
        if row["status"] in _OPEN and last.get(row["trial"]) not in (None, *_OPEN):
            found = f"is {row['status']} after it had ended, {last[row['trial']]}"
            yield Finding(State.DAMAGED, "rows", f"{rows.sweep}/{row['trial']}", found, "the last row counts")
        last[row["trial"]] = row["status"]
        if row["status"] not in _OPEN and row["ended_at"] is not None:
            ends[row["trial"]][row["ended_at"]] = row["status"]
    for trial, each in ends.items():
        if len(each) > 1:
            told = ", ".join(f"{status} at {at:%Y-%m-%d %H:%M:%S}" for at, status in sorted(each.items()))
            yield Finding(State.DAMAGED, "rows", f"{rows.sweep}/{trial}", f"ended twice: {told}", "the last row counts")


def _told_twice(rows: SweepRows) -> Iterator[Finding]:
    """Reports that were told more than once, and not alike."""
    first: dict[tuple[Any, ...], Row] = {}
    unlike: defaultdict[str, list[str]] = defaultdict(list)
    for row in rows.reports:
        before = first.setdefault((row["trial"], *report_key(row)), row)
        name = next((name for name in REPORT_FIGURES if not _alike(before[name], row[name])), None)
        if name is not None:
            at = row["alternation"] or row["finetune_step"] or row["epoch"]
            unlike[row["trial"]].append(f"{name} of {row['stage']} {at}, {before[name]} and {row[name]}")
    for trial, each in unlike.items():
        row = rows.trials.get(trial, {})
        # Where sums are taken in another order every time, a trial that went on has other last digits.
        rounds = (row.get("gpu_seconds") or 0) > 0 or (row.get("workers") or 1) > 1
        more = f", and {len(each) - 1} more" if len(each) > 1 else ""
        found = f"a report was told twice, and not alike: {each[0]}{more}"
        why = "it went on, on a GPU or several workers, whose last digits differ" if rounds else "the newer one counts"
        yield Finding(State.NOTE if rounds else State.DAMAGED, "rows", f"{rows.sweep}/{trial}", found, why)


def _alike(one: Any, other: Any) -> bool:
    return bool(one == other or (one != one and other != other) or None in (one, other))


def _incomplete(rows: SweepRows, is_held: bool) -> Iterator[Finding]:
    """Trials whose row and reports don't fit."""
    explained = any(damaged.stored.kind == "reports" for damaged in rows.damaged)
    of: defaultdict[str, list[Row]] = defaultdict(list)
    for report in rows.reports:
        of[report["trial"]].append(report)
    for name, row in rows.trials.items():
        place = f"{rows.sweep}/{name}"
        if row["status"] == Status.COMPLETE and row["objective"] is None:
            yield Finding(State.DAMAGED, "rows", place, "ran to its end, and has no objective")
        if explained or (is_held and row["status"] in _OPEN):
            continue
        if (missing := missing_reports(row, of[name])) is not None:
            kept = "resume has it told again" if row["status"] in _OPEN else "its row, and what it came to, are there"
            yield Finding(State.DAMAGED, "rows", place, missing, kept)
