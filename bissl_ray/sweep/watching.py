"""A sweep as it is seen from any machine that reaches its storage: looked at, never touched. Imports no Ray."""

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from bissl_ray.config.documents import SweepDocument
from bissl_ray.progress import Spent, SweepProgress, Track, View
from bissl_ray.search.forecast import Climb, Underway
from bissl_ray.search.history import SweepOutcome, forecast_of, is_finished, outcome_of, planner_to_look_at
from bissl_ray.search.planner import Planner
from bissl_ray.search.plans import RunKind
from bissl_ray.search.records import Record, records_from_store
from bissl_ray.store.documents import read_sweep_document
from bissl_ray.store.feed import Feed
from bissl_ray.store.filesystem import reason
from bissl_ray.store.holder import Holder
from bissl_ray.store.lock import Claim
from bissl_ray.store.paths import absolute_storage, sweep_documents
from bissl_ray.words import PARAMETER_PREFIX, STEPS, Status, Step

_THIS_MACHINE: Final = "this machine"


def watch_sweep(storage: str, name: str, view: View, every: float, left: threading.Event) -> SweepOutcome | None:
    """Show how a sweep stands, until it ends or nobody runs it any more.

    A look costs what `Feed.look` does, a listing of the sweep's folder and its claim; sweep.json is read when another
    process has taken the sweep.

    Args:
        storage: that holds it.
        name: of the sweep.
        view: shows progress.
        every: seconds between two looks.
        left: set when who watches leaves.

    Returns:
        How it ended, or where it was left by who ran it; None: who watches has left.

    Raises:
        BadInputError: there is no such sweep.
        OSError: the storage refuses the first look; later ones are tried again.
    """
    watched = _Watched(absolute_storage(storage), name)
    while not left.is_set():
        outcome = watched.look(view)
        if outcome is not None:
            return outcome
        left.wait(every)
    return None


class _Watched:
    """What is known of a sweep from one look to the next."""

    def __init__(self, storage: str, name: str) -> None:
        self._storage, self._name = storage, name
        self._document = read_sweep_document(storage, name)
        self._feed = Feed(storage, self._document.request.dataset, name)
        self._holder = Holder(storage, sweep_documents(name))
        self._held: str | None = None
        self._shown = False
        self._trouble: str | None = None
        self._progress: SweepProgress | None = None

    def look(self, view: View) -> SweepOutcome | None:
        """Look once, and show what is new; how it ended, if it has."""
        trouble = self._trouble
        try:
            claim, changed = self._new()
            self._trouble = "; ".join(self._feed.damaged) or None
        except OSError as error:
            if not self._shown:
                raise
            self._trouble = f"the storage can't be read at the moment: {reason(error)}"
            if self._progress is not None and trouble != self._trouble:
                view.show(replace(self._progress, trouble=self._trouble))
            return None
        if self._shown and not changed and claim is not None and trouble == self._trouble:
            return None
        records = _records(self._feed)
        planner = planner_to_look_at(self._document.request, records)
        self._progress = _progress(self._document, self._feed, planner, claim)
        view.show(replace(self._progress, trouble=self._trouble))
        self._shown = True
        if claim is not None and not is_finished(planner):
            return None
        return outcome_of(self._name, self._storage, planner, stopped=not is_finished(planner))

    def _new(self) -> tuple[Claim | None, bool]:
        # Who gives the sweep back has written its last row before.
        held = self._holder.look()
        path, claim = held or (None, None)
        changed = path != self._held
        if changed and path is not None:
            self._document = read_sweep_document(self._storage, self._name)
        self._held = path
        return claim, self._feed.look() or changed


def _records(feed: Feed) -> list[Record]:
    records = records_from_store(feed.trials, ())
    for record in records:
        if record.step == Step.SEARCH and record.trial in feed.tracks:
            record.curve.update(feed.tracks[record.trial].curve)
    return records


def _progress(document: SweepDocument, feed: Feed, planner: Planner, claim: Claim | None) -> SweepProgress:
    ledger, session, now = planner.ledger, document.session, datetime.now(UTC)
    rows = feed.trials
    running = [row["trial"] for row in rows if row["status"] == Status.RUNNING] if claim is not None else []
    # Before its first trial a driver makes the models that all begin from, which it counts as none of the sweep's time.
    began = min((row["started_at"] for row in rows if row["started_at"] is not None), default=now)
    if session is not None:
        began = max(began, datetime.fromisoformat(session.began_at))
    until = now if claim is not None else max((row["updated_at"] for row in rows), default=now)
    elapsed = max((until - began).total_seconds(), 0.0)
    # In this process nothing is in flight: what runs counts among what is to come.
    under_way = list(_under_way(feed, planner, running, now))
    to_come: Counter[RunKind] = planner.to_come() - Counter(run.kind for run in under_way)
    slots = max(len(running), 1) if session is None else max(session.groups, 1)
    best = ledger.incumbent
    tracks = {name: feed.tracks.get(name, Track()) for name in running}
    where = None if session is None else session.where
    return SweepProgress(
        phase=STEPS[planner.step()],
        total=planner.expected,
        done=ledger.ended.total(),
        running=len(running),
        pruned=ledger.ended[Status.PRUNED],
        failed=ledger.ended[Status.FAILED],
        paused=len(ledger.paused),
        elapsed=elapsed,
        left=forecast_of(document, planner).left(to_come, under_way, slots) if claim is not None else None,
        best=(best.trial, best.objective) if best is not None and best.objective is not None else None,
        objective_name=next((row["objective_name"] for row in rows if row["objective_name"] is not None), None),
        trials=lambda: rows,
        doing=None if rows or claim is None else "no trial has begun yet",
        dataset=document.request.dataset,
        where=claim.host if where in (None, _THIS_MACHINE) and claim is not None else where,
        slots=None if session is None else session.groups,
        budget=_spent(document, elapsed),
        tracks=lambda: tracks,
    )


def _under_way(feed: Feed, planner: Planner, running: list[str], now: datetime) -> Iterator[Underway]:
    """The runs under way: how long each has run is known by its reports, as it may have begun in another session."""
    for name in running:
        record, row, track = planner.records[name], feed.row(name), feed.tracks.get(name)
        kind = (record.phase, record.step)
        took = None if track is None else track.last.get("seconds")
        if track is None or took is None:
            yield Underway(kind, max((now - row["updated_at"]).total_seconds(), 0.0))
            continue
        elapsed = took + max((now - track.last["reported_at"]).total_seconds(), 0.0)
        reports = len(record.curve) if record.step == Step.SEARCH else 0
        to_go = max((row.get(f"{PARAMETER_PREFIX}alternations") or record.at) - record.at, 0) if reports else 0
        yield Underway(kind, elapsed, Climb(reports, took / max(reports, 1), took) if reports else Climb(), to_go)


def _spent(document: SweepDocument, elapsed: float) -> Spent | None:
    """How much of the budget is used, by the time since the session began: the driver knows it to the second."""
    session = document.session
    if session is None or session.budget_seconds is None:
        return None
    used = elapsed * (session.gpus if session.budget_of == "gpu" else 1.0)
    return Spent(used, session.budget_seconds, session.budget_of)
