"""How long a sweep still takes, as far as its rows tell: the forecast of the live view, learnt from what is stored."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from bissl_ray.catalog.standing import State, SweepStanding
from bissl_ray.config.documents import SweepDocument
from bissl_ray.search.forecast import SEARCH, Climb, Forecast, Underway
from bissl_ray.search.history import work_of_sweep
from bissl_ray.search.records import Record
from bissl_ray.store.schema import Row
from bissl_ray.words import ALIGNING, PBT, Phase, Status, Step

_NEWEST: Final = 20
"""Trials by which it is told how many ran at a time."""


def seconds_left(
    document: SweepDocument,
    standing: SweepStanding,
    rows: Sequence[Row],
    reports: Sequence[Row],
    slots: int,
    now: datetime,
) -> float | None:
    """Seconds until all of a sweep has run; None where nothing tells.

    Args:
        document: of the sweep.
        standing: of it.
        rows: of its trials.
        reports: all of its reports.
        slots: trials at a time.
        now: by this machine's clock.
    """
    alternations = document.request.space.largest("alternations")
    climbs = _climbs(reports)
    work = work_of_sweep(document.request, document.data)
    forecast = Forecast(alternations, lambda kind: work(kind, None))
    for row in rows:
        whole = row["status"] in (Status.COMPLETE, Status.PRUNED, Status.PAUSED)
        if whole and row["seconds"] and not (row["origin"] or "").startswith(PBT):
            forecast.learn((Phase(row["phase"]), Step(row["step"])), row["seconds"], climbs[row["trial"]])
    to_come = standing.to_come
    underway = []
    if standing.state == State.RUNNING:
        by_name = {row["trial"]: row for row in rows}
        for record in standing.planner.ledger.open.values():
            to_come -= Counter({(record.phase, record.step): 1})
            underway.append(_underway(record, by_name[record.trial], climbs[record.trial], alternations, now))
    return forecast.left(to_come, underway, slots) if to_come or underway else None


def at_a_time(rows: Sequence[Row]) -> int:
    """How many trials have run at a time, by when the newest of them began and ended; at least one."""
    spans = [(row["started_at"], row["ended_at"] or row["updated_at"]) for row in rows if row["started_at"] is not None]
    spans.sort(key=lambda span: span[0])
    newest = [start for start, _ in spans[-_NEWEST:]]
    return max((sum(begin <= at < (end or at) for begin, end in spans) for at in newest), default=1) or 1


def _climbs(reports: Sequence[Row]) -> defaultdict[str, Climb]:
    told: defaultdict[str, list[float]] = defaultdict(list)
    for row in reports:
        if row["stage"] in ALIGNING and row["seconds"] is not None:
            told[row["trial"]].append(row["seconds"])
    found: defaultdict[str, Climb] = defaultdict(Climb)
    found.update({trial: Climb(len(seconds), min(seconds), max(seconds)) for trial, seconds in told.items()})
    return found


def _underway(record: Record, row: Row, climb: Climb, alternations: int, now: datetime) -> Underway:
    kind = record.phase, record.step
    since = 0.0 if row["updated_at"] is None else max((now - row["updated_at"]).total_seconds(), 0.0)
    to_go = alternations - record.at if kind == SEARCH else 0
    return Underway(kind, (row["seconds"] or 0.0) + since, climb if kind == SEARCH else Climb(), to_go)
