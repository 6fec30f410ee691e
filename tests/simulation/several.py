"""Schedules, several at a time: each runs in one process, and is the same as alone."""

import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from multiprocessing import get_context
from typing import Final, NamedTuple

from tests.simulation.planted import PLANTED
from tests.simulation.quick_rows import quick_rows
from tests.simulation.schedule import Schedule

_MOST_OF_ONE: Final = 100
"""Schedules that a process runs before another takes its place: what a killed process of a simulated world held on to
is not freed."""


class Outcome(NamedTuple):
    """What came of one schedule: what befell it, what went wrong, and what happened moment by moment."""

    seed: int
    injected: Counter[str]
    problem: str | None
    log: list[str]


def live(seed: int, planted: str | None, parquet: bool) -> Outcome:
    """Run one schedule, with a fault put back, or with real Parquet."""
    warnings.simplefilter("ignore")
    with nullcontext() if parquet else quick_rows(), PLANTED.get(planted, nullcontext)():  # type: ignore[arg-type]
        schedule = Schedule(seed)
        try:
            schedule.run()
        except Exception as error:
            problem = " ".join(str(error).split())[:300]
            return Outcome(seed, schedule.injected, problem, schedule.world.log)
    return Outcome(seed, schedule.injected, None, schedule.world.log)


def outcomes(seeds: range, jobs: int, planted: str | None, parquet: bool) -> Iterator[Outcome]:
    """Run schedules, several at a time; each is the same as alone."""
    if jobs == 1 or len(seeds) == 1:
        yield from (live(seed, planted, parquet) for seed in seeds)
        return
    # Not an executor of concurrent.futures: in Python 3.11 it hangs where a process has run its share (issue 115634).
    with get_context("spawn").Pool(jobs, maxtasksperchild=_MOST_OF_ONE) as pool:
        yield from pool.imap(partial(live, planted=planted, parquet=parquet), seeds)
