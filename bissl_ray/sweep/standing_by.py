"""Worker groups that have no trial at the moment: kept for the next, as many as there is room for."""

from collections.abc import Callable, Generator
from typing import Any

from ray.tune.utils.object_cache import _ObjectCache


class StandingBy(_ObjectCache):  # type: ignore[misc]
    """In the place of Tune's own cache of actors.

    That one keeps a finished trial's actor only while another trial already waits for one, and one besides. Our
    searcher proposes only when a group is free, so that Optuna knows all there is to know: groups that end together
    would be torn down and started again. And it knows nothing of room that shrinks, as when another sweep comes to the
    cluster: what stands by holds its CPUs and GPUs.
    """

    def __init__(self, idle: Callable[[], int]) -> None:
        """Set up.

        Args:
            idle: says how many groups may stand by, beside those that run trials.
        """
        super().__init__()
        self._idle = idle

    def cache_object(self, key: Any, obj: Any) -> bool:
        """Keep a group; it is let go in the same round where there is no room for it."""
        self._cached_objects[key].append(obj)
        self._num_cached_objects += 1
        return True

    def flush_cached_objects(self, force_all: bool = False) -> Generator[Any, None, None]:
        """Give the groups that are to end, those first that have stood by longest."""
        keep = 0 if force_all else max(self._idle(), 0)
        for objects in self._cached_objects.values():
            while objects and self._num_cached_objects > keep:
                self._num_cached_objects -= 1
                yield objects.pop(0)
