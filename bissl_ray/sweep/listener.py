"""What trials say beside their reports, while their images are decoded: from the workers to the sweep's view."""

import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from ray import tune
from ray.exceptions import RayError

from bissl_ray.progress import Decoding, Note, View
from bissl_ray.workers.message_line import MessageLine

if TYPE_CHECKING:
    from bissl_ray.sweep.recorder import Recorder

_LISTEN_S: Final = 0.5


class LineListener(tune.Callback):  # type: ignore[misc]
    """Listens between Tune's steps.

    Args:
        view: shows notes; each once, however many groups say it.
        recorder: shows how far decoding is.

    Attributes:
        name: of the line, for `MessageLine.named`.
    """

    def __init__(self, view: View, recorder: "Recorder") -> None:
        self.name = f"events-{uuid.uuid4().hex[:12]}"
        self._line = MessageLine(self.name)
        self._view = view
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
            for event in self._line.take():
                if isinstance(event, Decoding):
                    doing = None if event.done == event.total else event.words
                elif isinstance(event, Note) and event.line not in self._said:
                    self._said.add(event.line)
                    self._view.show(event)
        if doing != self._recorder.doing:
            self._recorder.doing = doing
            self._recorder.show()

    def close(self) -> None:
        """End the line."""
        self._line.close()
        self._recorder.doing = None
