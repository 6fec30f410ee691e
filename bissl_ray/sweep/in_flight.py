"""A sweep under way: its plan, what learns from it, what is written of it, and what its worker groups run now."""

from dataclasses import dataclass, field
from typing import NamedTuple

from bissl_ray.search.planner import Plan, Planner
from bissl_ray.search.proposals import Proposals
from bissl_ray.store import SweepWriter
from bissl_ray.training.order import Order


class Running(NamedTuple):
    """What a worker group runs: a plan, and the order that was made of it."""

    plan: Plan
    order: Order


@dataclass(frozen=True)
class InFlight:
    """What searcher and recorder share.

    Attributes:
        planner: what is next; told of every end.
        proposals: told of every report and end of an explore trial.
        writer: of the sweep's Parquet files.
        slots: trials that run at a time.
        running: by Tune's trial identifier; an ended one is taken out.
    """

    planner: Planner
    proposals: Proposals
    writer: SweepWriter
    slots: int
    running: dict[str, Running] = field(default_factory=dict)
