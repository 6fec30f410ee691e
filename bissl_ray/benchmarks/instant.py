"""Trials that take no time, for `benchmarks.driver`.

It imports no torch, as the group that runs them: until an actor is up, which its imports are a part of, Tune gives its
trial to another and throws it away, and where trials are this short that would go on for ever.
"""

import math
import time
from functools import partial
from typing import TYPE_CHECKING, Any
from zlib import crc32

from bissl_ray.controls import PLAIN
from bissl_ray.progress import Sender
from bissl_ray.training.order import Order
from bissl_ray.workers.group import TrialRunner
from bissl_ray.workers.mailbox import RunOrder

if TYPE_CHECKING:
    from bissl_ray.training.worker import Worker


def _instantly(order: Order, worker: "Worker", sender: Sender, seconds: float = 0.0) -> dict[str, Any]:
    """A trial that has an objective for every alternation, and in place of training sleeps so many seconds for each."""
    worth = _worth(order)
    costs = {"seconds": 0.0, "gpu_seconds": 0.0, "workers": worker.world_size, "objective_name": "accuracy"}
    if "test" in order.stages:
        return {**costs, "test_metric": worth}
    if "bissl" in order.stages:
        for alternation in range(1, order.settings.alternations + 1):
            time.sleep(seconds)
            so_far = {**costs, "alternations": alternation}
            worth_so_far = worth * (1 - 0.5**alternation)
            row = {"stage": "bissl", "alternation": alternation, "objective": worth_so_far, "seconds": 0.0}
            sender.report({**row, "so_far": so_far}, worker.is_chief)
    return {**costs, "objective": worth}


def _worth(order: Order) -> float:
    """A fraction that falls away from one point of what is searched, with noise that is the trial's and the seed's."""
    settings = order.settings
    distance = (math.log(settings.lower_lr / 0.3) / 5) ** 2 + (math.log(settings.upper_lr / 0.01) / 5) ** 2
    noise = crc32(f"{order.trial} {order.seed}".encode()) / 2**32
    return 0.9 * math.exp(-distance) + 0.02 * noise - (0.01 if order.control == PLAIN else 0.0)


class Instant(TrialRunner):
    """A worker group's trainable whose trials are a formula."""

    @staticmethod
    def run_order() -> RunOrder:
        """A trial that has an objective for every alternation, and no training."""
        return _instantly


def sleeping(seconds: float) -> type[Instant]:
    """The same with so many seconds for each alternation, in which the trial's process does nothing."""
    return type("Sleeping", (Instant,), {"run_order": staticmethod(lambda: partial(_instantly, seconds=seconds))})
