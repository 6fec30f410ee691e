"""What trials say while their images are decoded: the workers' end of the way to the sweep's view.

Reports can't carry it: they are answered one by one, and images are decoded before the first of them.
"""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ray.exceptions import RayError

from bissl_ray.training.watch import Pause

if TYPE_CHECKING:
    from bissl_ray.workers.message_line import MessageLine


class TrialNews:
    """A `CacheNews` that puts what it hears into a line."""

    def __init__(self, line: "MessageLine") -> None:
        self._line = line
        self._due = Pause().over

    def decoded(self, done: int, total: int) -> None:
        """Pass it on a few times a second."""
        if self._due() or done == total:
            self._put(("decoded", (done, total)))

    def note(self, line: str) -> None:
        """Pass it on."""
        self._put(("note", line))

    def _put(self, message: Any) -> None:
        with suppress(RayError):  # nobody listens any more: no trial has to fail for that
            self._line.put(message)
