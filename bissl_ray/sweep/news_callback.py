"""What trials say while their images are decoded: the driver's end of the way to the sweep's view."""

import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from ray import tune
from ray.exceptions import RayError

from bissl_ray.data.cache.news import decoding_words
from bissl_ray.workers.message_line import MessageLine

if TYPE_CHECKING:
    from bissl_ray.sweep.recorder import Recorder

_LISTEN_S: Final = 0.5


class NewsCallback(tune.Callback):  # type: ignore[misc]
    """Listens between Tune's steps.

    Args:
        note: shows a line that stays; each is shown once, however many groups say it.
        recorder: shows how far decoding is.

    Attributes:
        name: of the line, for `MessageLine.named`.
    """

    def __init__(self, note: Callable[[str], None], recorder: "Recorder") -> None:
        self.name = f"news-{uuid.uuid4().hex[:12]}"
        self._line = MessageLine(self.name)
        self._note = note
        self._recorder = recorder
        self._said: set[str] = set()
        self._next = 0.0

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Take what was said since."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _LISTEN_S
        doing = self._recorder.doing
        with suppress(RayError):
            for kind, content in self._line.take():
                if kind == "decoded":
                    done, total = content
                    doing = None if done == total else decoding_words(done, total)
                elif content not in self._said:
                    self._said.add(content)
                    self._note(content)
        if doing != self._recorder.doing:
            self._recorder.doing = doing
            self._recorder.show()

    def close(self) -> None:
        """End the line."""
        self._line.close()
