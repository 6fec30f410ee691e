"""How long a worker is in collectives."""

import time
from collections.abc import Callable
from typing import Any

import torch.distributed as dist

from bissl_ray.benchmarks.gauges import Gauge

_COLLECTIVES = ("all_reduce", "all_gather_into_tensor", "broadcast")
"""Those that `parallel` calls."""


class InCollectives(Gauge[float]):
    """Seconds in collectives that return when they are done, as gloo's do."""

    def start(self) -> None:
        """From now on."""
        self._seconds = 0.0
        self._originals = {name: getattr(dist, name) for name in _COLLECTIVES}
        for name, original in self._originals.items():
            setattr(dist, name, self._timed(original))

    def stop(self) -> float:
        """Since `start`."""
        for name, original in self._originals.items():
            setattr(dist, name, original)
        return self._seconds

    def _timed(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            begin = time.perf_counter()
            try:
                return original(*arguments, **named)
            finally:
                self._seconds += time.perf_counter() - begin

        return call
