"""What Tune calls beside the recorder: who hears what trials say, and who says with whom the cluster is shared."""

import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from ray import tune
from ray.exceptions import RayError
from ray.tune.progress_reporter import TrialProgressCallback

from bissl_ray.progress import Decoding, Note, View
from bissl_ray.sweep.picture import Picture
from bissl_ray.sweep.room import Room
from bissl_ray.workers.message_line import MessageLine

_LISTEN_S: Final = 0.5


class Neighbourly(tune.Callback):  # type: ignore[misc]
    """Says with whom the cluster is shared, each time that changes."""

    def __init__(self, room: Room, view: View) -> None:
        self._room, self._view = room, view
        self._said: str | None = None

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:  # noqa: D102
        shared = self._room.shared_with
        if shared != self._said:
            self._said = shared
            self._view.show(Note(shared or f"has the cluster to itself again: {self._room.slots()} at a time"))


class Listener(tune.Callback):  # type: ignore[misc]
    """Takes what trials say beside their reports, as often as Tune steps: notes, and how far decoding is."""

    def __init__(self, view: View, pictures: Sequence[Picture]) -> None:
        self.name = f"events-{uuid.uuid4().hex[:12]}"
        self._line = MessageLine(self.name)
        self._view = view
        self._pictures = pictures
        self._doing: str | None = None
        self._said: set[str] = set()
        self._next = 0.0

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:  # noqa: D102
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _LISTEN_S
        doing = self._doing
        with suppress(RayError):
            for event in self._line.take():
                if isinstance(event, Decoding):
                    doing = None if event.done == event.total else event.words
                elif isinstance(event, Note) and event.line not in self._said:  # however many groups say it
                    self._said.add(event.line)
                    self._view.show(event)
        if doing != self._doing:
            self._doing = doing
            for picture in self._pictures:
                picture.doing = doing
                picture.show()

    def close(self) -> None:  # noqa: D102
        self._line.close()
        for picture in self._pictures:
            picture.doing = None


class SilentTrials(TrialProgressCallback):  # type: ignore[misc]
    """Tune's own lines on each trial, silenced: given no such callback it adds one, which keeps every trial."""

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: Any, **info: Any) -> None:  # noqa: D102
        return

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: D102
        return

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: D102
        return


class Silent(tune.ProgressReporter):  # type: ignore[misc]
    """Tune's own reporter, silenced: the live view is ours."""

    def should_report(self, trials: list[object], done: bool = False) -> bool:  # noqa: D102
        return False

    def report(self, trials: list[object], done: bool, *sys_info: dict[str, object]) -> None:  # noqa: D102
        return
