"""A sweep under way, and Tune's searcher, which hands out what its planner says is next."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ray.tune.search import Searcher

from bissl_ray.progress import Wishes
from bissl_ray.search.planner import Planner
from bissl_ray.search.plans import Plan
from bissl_ray.search.proposals import Proposals
from bissl_ray.store import SweepWriter
from bissl_ray.store.schema import Row
from bissl_ray.sweep.room import Room
from bissl_ray.training.files import SavedProgress
from bissl_ray.training.order import Order
from bissl_ray.words import Step

SWEEP: Final = "sweep"
"""Key of a Tune configuration: whose trial it is."""


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
        room: for how many trials at a time there is room.
        progress_of: the progress that a trial has saved, by its name.
        running: by Tune's trial identifier; an ended one is taken out.
    """

    planner: Planner
    proposals: Proposals
    writer: SweepWriter
    room: Room
    progress_of: Callable[[str], SavedProgress]
    running: dict[str, Running] = field(default_factory=dict)


class PlannedSearcher(Searcher):  # type: ignore[misc]
    """Asks the planner whenever a worker group is free.

    What became of a trial reaches the planner through the sweep's Tune callback, which sees failures and
    stops as well; Tune's own on_trial_complete says nothing about why a trial ended.
    """

    def __init__(
        self,
        flight: InFlight,
        order_of: Callable[[Plan], Order],
        stopped: Callable[[], bool],
        wishes: Wishes | None = None,
    ):
        """Set up.

        Args:
            flight: the sweep under way.
            order_of: turns a plan into an order for a worker group.
            stopped: whether the sweep has been told to stop.
            wishes: what who watches it asks for; None: nothing.
        """
        super().__init__(metric="objective", mode="max")
        self._wishes = wishes or Wishes()
        self.flight = flight
        self._order_of = order_of
        self._stopped = stopped

    def suggest(self, trial_id: str) -> dict[str, str | int] | str | None:
        """Give the configuration of Tune's next trial, None to be asked again, or FINISHED."""
        flight = self.flight
        if self._stopped() or self._wishes.stop:
            return str(Searcher.FINISHED)
        if self._wishes.hold or len(flight.running) >= flight.room.slots():
            return None
        plan = flight.planner.next()
        if plan is None:
            return str(Searcher.FINISHED) if flight.planner.finished else None
        order = self._order_of(plan)
        flight.running[trial_id] = Running(plan, order)
        return {
            SWEEP: str(order.sweep),
            "trial": plan.record.trial,
            "explore": plan.step == Step.SEARCH,
            "alternations": order.settings.alternations,
            "order": order.model_dump_json(),
        }

    def on_trial_complete(self, trial_id: str, result: Row | None = None, error: bool = False) -> None:
        """Nothing: the recorder takes the trial out when it has seen how it ended."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: resuming replays Parquet."""

    restore = save
