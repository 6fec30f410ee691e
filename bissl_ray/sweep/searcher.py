"""Tune's searcher: hands out what the planner says is next."""

import json
from collections.abc import Callable
from typing import Any

from ray.tune.search import Searcher

from bissl_ray.search.planner import Plan, Planner
from bissl_ray.training.order import Order


class PlannedSearcher(Searcher):  # type: ignore[misc]
    """Asks the planner whenever a worker group is free.

    What became of a trial reaches the planner through the sweep's Tune callback, which sees failures and
    stops as well; Tune's own on_trial_complete says nothing about why a trial ended.
    """

    def __init__(self, planner: Planner, order_of: Callable[[Plan], Order], slots: int, stopped: Callable[[], bool]):
        """Set up.

        Args:
            planner: what is next.
            order_of: turns a plan into an order for a worker group.
            slots: how many trials may run at a time.
            stopped: whether the sweep has been told to stop.
        """
        super().__init__(metric="objective", mode="max")
        self._planner = planner
        self._order_of = order_of
        self._slots = slots
        self._stopped = stopped
        self.plans: dict[str, Plan] = {}
        """Plans in flight, by Tune's trial identifier."""

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Give the configuration of Tune's next trial, None to be asked again, or FINISHED."""
        if self._stopped():
            return str(Searcher.FINISHED)
        if len(self.plans) >= self._slots:
            return None
        plan = self._planner.next()
        if plan is None:
            return str(Searcher.FINISHED) if self._planner.finished else None
        self.plans[trial_id] = plan
        order = self._order_of(plan)
        return {
            "trial": plan.record.trial,
            "explore": plan.record.step == "search",
            "alternations": order.settings["alternations"],
            "order": json.dumps(order.to_mapping()),
        }

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing: the recorder takes the plan out when it has seen how the trial ended."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: resuming replays Parquet."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: resuming replays Parquet."""
