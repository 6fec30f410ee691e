"""One function of nests of tensors: eager at first, then recorded, checked twice, and replayed."""

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import torch
from torch import Tensor

from bissl_ray.replay.nest import Signature, difference, opened
from bissl_ray.replay.recorder import Recorder, Recording
from bissl_ray.replay.surroundings import Buffers, Surroundings

CHECKS: Final = 2
"""Replays that are held against the eager result, the first on what was recorded, the second on another batch."""


class ReplayError(RuntimeError):
    """A function could not be recorded, or its recording is wrong, and setting `replay` is on."""


class Terms(Protocol):
    """What the functions of a trial share; see `Replays`."""

    @property
    def recorder(self) -> Recorder:
        """Records them."""
        ...

    @property
    def buffers(self) -> Buffers:
        """Tensors that they may move beside what they return."""
        ...

    def give_up(self, what: str, why: str) -> None:
        """Say why a function goes on eagerly from now on; raises ReplayError where that is no choice."""
        ...

    def say(self, what: str, line: str) -> None:
        """Say a line about a function."""
        ...


class Replayed:
    """A function whose results are those of the function itself, sooner.

    The first call runs as ever. The second runs as ever too, records, replays on the same batch and compares; the third
    compares on its own batch. In all of them the eager result is what is returned, and buffers and random numbers are
    left as the eager run left them. From then on recordings are replayed, and hand out the very tensors that they write
    to: valid until the next call (scalars are copies, and may be kept).

    What a recording does is fixed: it reads parameters and buffers where they lie, so that these must be changed in
    place, and a number of Python's is what it was. So only losses and gradients are recorded; averaging over workers,
    clipping, learning rates, momenta, the optimizer's step and moving averages of targets stay outside.

    Args:
        function: of nests of tensors, returns such a nest; draws no random number.
        what: it is, for lines.
        terms: what it shares with others.
        tolerance: largest relative difference from the eager result.
    """

    def __init__(self, function: Callable[..., Any], what: str, terms: Terms, tolerance: float) -> None:
        self._function, self._what, self._terms, self._tolerance = function, what, terms, tolerance
        self._signature: Signature | None = None
        self._results: Signature | None = None
        self._recording: Recording | None = None
        self._checks_left = CHECKS
        self._given_up = self._said = False

    def __call__(self, *arguments: Any) -> Any:
        """The function's results."""
        if self._given_up:
            return self._function(*arguments)
        found = opened(arguments)
        if found is None:
            self._give_up("its batches are not plain tensors")
            return self._function(*arguments)
        leaves, signature = found
        if signature != self._signature:
            return self._of_another_shape(signature, arguments)
        if self._checks_left:
            return self._checked(leaves, arguments)
        assert self._recording is not None and self._results is not None
        return self._results.nest(kept_scalars(self._recording.replay(leaves)))

    def _of_another_shape(self, signature: Signature, arguments: Sequence[Any]) -> Any:
        if self._signature is not None and not self._said:
            self._said = True
            self._terms.say(self._what, "batches of another shape run without")
        if self._recording is None:
            self._signature = signature
        return self._function(*arguments)

    def _checked(self, leaves: list[Tensor], arguments: Sequence[Any]) -> Any:
        before = Surroundings(self._terms.buffers)
        expected = self._function(*arguments)
        results = opened(expected)
        if results is None:
            self._give_up("what it returns is not plain tensors")
        elif before.random_moved():
            self._give_up("it draws random numbers")
        else:
            after = Surroundings(self._terms.buffers)
            before.put_back()
            try:
                problem = self._problem(leaves, results, after, before)
            except RuntimeError as error:
                problem = in_words(error)
            after.put_back()
            if problem is not None:
                self._give_up(problem)
        return expected

    def _problem(
        self, leaves: list[Tensor], results: tuple[list[Tensor], Signature], after: Surroundings, before: Surroundings
    ) -> str | None:
        """What is wrong with the recording, which is made if there is none; None where nothing is."""
        expected, self._results = results
        assert self._signature is not None
        arguments = self._signature

        def flat(inputs: list[Tensor]) -> list[Tensor]:
            found = opened(self._function(*arguments.nest(inputs)))
            assert found is not None
            return found[0]

        if self._recording is None:
            self._recording = self._terms.recorder.record(flat, leaves)
            before.put_back()
        found = self._recording.replay(leaves)
        differences = difference(found, expected), difference(list(self._terms.buffers()), after.values)
        apart = max(value for value in (*differences, 0.0) if value is not None)
        if apart > self._tolerance:
            return differs(apart, self._tolerance)
        # Where the run itself has diverged nothing was compared.
        self._checks_left -= None not in differences
        return None

    def _give_up(self, why: str) -> None:
        self._given_up, self._recording = True, None
        self._terms.give_up(self._what, why)


def kept_scalars(results: Sequence[Tensor]) -> list[Tensor]:
    """The results, scalars as copies."""
    return [result.clone() if result.dim() == 0 else result for result in results]


def differs(apart: float, tolerance: float) -> str:
    """What is wrong with a replay, in words."""
    return f"its replay differs from the eager result by {apart:.1e} (at most {tolerance:g})"


def in_words(error: RuntimeError) -> str:
    """Why nothing was recorded, in a line."""
    cause: BaseException = error
    # Ending a recording that has failed is an error too, and hides the one that it came of.
    while isinstance(cause.__context__, RuntimeError):
        cause = cause.__context__
    if isinstance(cause, torch.OutOfMemoryError):
        return "there is too little memory for a recording"
    return f"recording failed ({(str(cause).strip().splitlines() or [type(cause).__name__])[0][:150]})"
