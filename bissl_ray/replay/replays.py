"""The functions of one trial that are recorded: on which terms, and what is said of them."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, TypeVar

from torch import Tensor

from bissl_ray.replay.recorder import Recorder
from bissl_ray.replay.replayed import Replayed, ReplayError

Function = TypeVar("Function", bound=Callable[..., Any])

EXACT: Final = 1e-6
"""Relative difference between a replay and the eager result in float32; what rounds more coarsely may differ more."""


class Replays:
    """Records functions, or leaves them as they are.

    Args:
        recorder: records; None: nothing is recorded, and functions are what they were.
        must: whether what can't be replayed is an error (setting `replay` is on) rather than run eagerly (auto).
        buffers: every tensor that functions may move beside what they return; the same whenever it is asked.
        say: takes a line for a person.
        tolerance: largest relative difference of steps from the eager result.
    """

    def __init__(
        self,
        recorder: Recorder | None,
        must: bool = False,
        buffers: Callable[[], Sequence[Tensor]] = tuple,
        say: Callable[[str], None] = lambda _: None,
        tolerance: float = EXACT,
    ) -> None:
        self._recorder, self._must, self.buffers, self._say = recorder, must, buffers, say
        self._tolerance = tolerance

    @property
    def records(self) -> bool:
        """Whether anything is recorded."""
        return self._recorder is not None

    @property
    def recorder(self) -> Recorder:
        """What records."""
        assert self._recorder is not None
        return self._recorder

    def around(self) -> AbstractContextManager[None]:
        """Where all of the trial must run, what is eager too."""
        return nullcontext() if self._recorder is None else self._recorder.around()

    def of(self, function: Function, what: str) -> Function:
        """A function that does the same, as `Replayed`.

        Args:
            function: as there.
            what: it is, for lines: "the lower step".
        """
        if self._recorder is None:
            return function
        return Replayed(function, what, self, self._tolerance)  # type: ignore[return-value]

    def say(self, what: str, line: str) -> None:
        """Say a line about a function."""
        self._say(f"replay, {what}: {line}")

    def give_up(self, what: str, why: str) -> None:
        """Say why a function goes on eagerly; raises ReplayError where replay is on."""
        if self._must:
            raise ReplayError(f"replay is on, and {what} can't be replayed: {why}; set replay to auto or off")
        self.say(what, f"it goes on without, as {why}")


EAGER: Final = Replays(None)
"""Nothing is recorded."""
