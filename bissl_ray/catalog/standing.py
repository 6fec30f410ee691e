"""How things of a storage stand: running, interrupted, paused, finished; by who holds them and what is left to do."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from bissl_ray.config.documents import StageDocument, SweepDocument
from bissl_ray.config.requests import SweepRequest
from bissl_ray.search.history import is_finished, look
from bissl_ray.search.planner import Planner
from bissl_ray.search.plans import RunKind
from bissl_ray.search.population import rungs_of
from bissl_ray.store import read_reports, to_rows
from bissl_ray.store.schema import Row


class State(StrEnum):
    """How a thing stands."""

    RUNNING = "running"
    """A process holds it."""
    INTERRUPTED = "interrupted"
    """Nobody holds it, and something of it was cut off in the middle."""
    PAUSED = "paused"
    """Nobody holds it; nothing was cut off, and something is left to do."""
    FINISHED = "finished"
    """All that was asked for has run."""
    FAILED = "failed"
    """A stage by itself that ended with an error."""
    HALF_REMOVED = "half removed"
    UNREADABLE = "unreadable"
    """What was asked for can't be read, or is not there."""


@dataclass(frozen=True)
class SweepStanding:
    """A sweep.

    Attributes:
        planner: of it, to be looked at.
        state: how it stands.
        done: trials that have ended.
        asked: trials that there will have been at its end, as far as is known.
    """

    planner: Planner
    state: State
    done: int
    asked: int

    @property
    def to_come(self) -> Counter[RunKind]:
        """Runs that are left, those that were cut off among them."""
        return self.planner.to_come()


def sweep_standing(
    storage: str, document: SweepDocument, rows: Sequence[Row], held: bool, reports: Sequence[Row] | None = None
) -> SweepStanding:
    """How a sweep stands.

    Args:
        storage: absolute.
        document: of the sweep.
        rows: of its trials.
        held: whether a process works on it.
        reports: all of its reports; None: they are read where they matter.
    """
    request = document.request
    if reports is None:
        reports = _reports_that_matter(storage, request)
    planner = look(request, rows, reports)
    ended = sum(planner.ledger.ended.values())
    return SweepStanding(planner, _state(planner, held), ended, max(planner.expected, ended))


def _state(planner: Planner, held: bool) -> State:
    if held:
        return State.RUNNING
    if is_finished(planner):
        return State.FINISHED
    # One that has no trial yet was cut off while its models were pretrained.
    return State.INTERRUPTED if planner.ledger.open or not planner.records else State.PAUSED


def _reports_that_matter(storage: str, request: SweepRequest) -> list[Row]:
    """Where trials pause at rungs, their reports say who goes on."""
    if rungs_of(request.space) is None:
        return []
    return to_rows(read_reports(storage, request.dataset, request.name))


def stage_state(document: StageDocument, held: bool) -> State:
    """How a stage that ran by itself stands."""
    if held:
        return State.RUNNING
    return {"complete": State.FINISHED, "failed": State.FAILED}.get(document.status, State.INTERRUPTED)


def comparison_state(cases: Sequence[State | None]) -> State:
    """How a comparison stands, by its sweeps; None: one that has not begun."""
    for state in (State.RUNNING, State.UNREADABLE, State.HALF_REMOVED, State.INTERRUPTED):
        if state in cases:
            return state
    return State.FINISHED if all(case == State.FINISHED for case in cases) else State.PAUSED
