"""From a run to whoever follows it, and a wish to stop back: the one way, in this process or from a worker far away."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Final

from bissl_ray.progress.events import Decoding, Event, Report, View

_PAUSE_S: Final = 0.25


class TrialStoppedError(Exception):
    """The run was told to stop: by the answer to a report, alike on every worker, or by its sender, on the chief."""


class TrialPausedError(Exception):
    """The run has come to where its order has it pause, alike on every worker; where it is has been saved."""


class Sender(ABC):
    """What a run on a worker speaks through. Everything but `report` is the chief's business alone."""

    def __init__(self) -> None:
        self._next = 0.0

    @abstractmethod
    def deliver(self, event: Event) -> None:
        """Pass an event on."""

    @abstractmethod
    def stop_asked(self) -> bool:
        """Whether the run shall save where it is and stop; asked after every step."""

    def due(self) -> bool:
        """Whether a frequent event would be looked at now: a few times a second. The next pause then begins."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + _PAUSE_S
        return True

    def send(self, event: Event) -> None:
        """Pass an event on; of decoding, a few times a second and at its end.

        Raises:
            TrialStoppedError: a wish to stop while images are decoded, when there is nothing to save.
        """
        if not isinstance(event, Decoding):
            self.deliver(event)
            return
        if self.due() or event.done == event.total:
            self.deliver(event)
        if self.stop_asked():
            raise TrialStoppedError

    def report(self, row: Mapping[str, Any], is_chief: bool) -> None:
        """Pass on what was measured; called on every worker of the run (a sweep's answer reaches all of them).

        Raises:
            TrialStoppedError: the answer is to stop; alike on every worker.
        """
        if is_chief:
            self.send(Report(row))


class LocalSender(Sender):
    """To a view in this very process.

    Args:
        view: shows the events.
        stop_asked: whether to save and stop.
    """

    def __init__(self, view: View, stop_asked: Callable[[], bool] = lambda: False) -> None:
        super().__init__()
        self._view = view
        self._stop_asked = stop_asked

    def deliver(self, event: Event) -> None:
        """Show it."""
        self._view.show(event)

    def stop_asked(self) -> bool:
        """As asked of this process."""
        return self._stop_asked()


class Silent(Sender):
    """To nobody: of the workers of a run, the chief speaks for all."""

    def deliver(self, event: Event) -> None:
        """Nothing."""

    def due(self) -> bool:
        """Never."""
        return False

    def stop_asked(self) -> bool:
        """Never."""
        return False
