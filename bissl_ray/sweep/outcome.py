"""How a sweep ended, as its caller is told."""

import math
from dataclasses import dataclass

from bissl_ray.search.planner import Planner
from bissl_ray.words import Status
from bissl_ray.workers.interrupt import Interrupt


@dataclass(frozen=True)
class SweepOutcome:
    """How a call of `run_sweep` or `resume_sweep` ended.

    Attributes:
        name: the sweep's name, for `resume_sweep` and `load_trials`.
        storage: where its results are.
        finished: whether everything that was asked for has run; False after an interruption.
        completed: how many trials ran to their end, in all.
        problem: what a person must see to, in one line; None if all is well.
    """

    name: str
    storage: str
    finished: bool
    completed: int
    problem: str | None = None


def outcome_of(name: str, storage: str, planner: Planner, interrupt: Interrupt | None = None) -> SweepOutcome:
    """How a sweep ended that ran until now, or had ended before.

    Args:
        name: of the sweep.
        storage: where it is, absolute.
        planner: knows its runs.
        interrupt: what may have stopped it; None: nothing.
    """
    records = planner.records.values()
    untested = [r.trial for r in records if r.test_metric is not None and math.isnan(r.test_metric)]
    problem = None if interrupt is None else interrupt.reason
    if untested and problem is None:
        problem = f"the test split could not be scored for {', '.join(untested)}: resume the sweep to try again"
    return SweepOutcome(
        name=name,
        storage=storage,
        finished=planner.finished and not (interrupt is not None and interrupt()),
        completed=sum(record.status == Status.COMPLETE for record in records),
        problem=problem,
    )
