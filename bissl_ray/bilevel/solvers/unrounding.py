"""Vectors that are kept rounded, as sums read them: a part at a time, each read once for all that it goes into."""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import torch
from torch import Tensor

_AT_ONCE: Final = 1 << 19
"""Entries that a thread of the CPU works on at once: few enough to stay in its cache, and enough to be worth a call."""


class Move(NamedTuple):
    """target += length · direction, the length a scalar on the device, the direction as it is kept."""

    target: Tensor
    length: Tensor
    direction: Tensor


class Room:
    """Where a rounded part is unrounded, time and again: to have new memory mapped takes the CPU longer than the sums.

    Args:
        like: has the entries, the type and the device.
    """

    def __init__(self, like: Tensor) -> None:
        self._entries = torch.empty_like(like)

    def __call__(self, rounded: Tensor) -> Tensor:
        """The same numbers, until the next call; they may be changed."""
        return self._entries[: len(rounded)].copy_(rounded)

    def __len__(self) -> int:
        return len(self._entries)

    def of_zeros(self, like: Tensor) -> Tensor:
        """As many zeros, likewise."""
        return self._entries[: len(like)].zero_()


class Unrounding:
    """Goes through all entries, on the CPU a part at a time."""

    def __init__(self) -> None:
        self._room: Room | None = None

    def stretches(self, vector: Tensor) -> Iterator[tuple[slice, Room]]:
        """Each part, and the room that all of them share."""
        if self._room is None:
            on_cpu = vector.device.type == "cpu"
            self._room = Room(vector[: _AT_ONCE * torch.get_num_threads()] if on_cpu else vector)
        step = len(self._room)
        for start in range(0, len(vector), step):
            yield slice(start, start + step), self._room

    def go(self, moves: Iterable[Move]) -> None:
        """Make moves; a direction of several is unrounded once."""
        along: dict[int, list[Move]] = {}
        for move in moves:
            along.setdefault(id(move.direction), []).append(move)
        if not along:
            return
        for part, room in self.stretches(next(iter(along.values()))[0].target):
            for same in along.values():
                direction = room(same[0].direction[part])
                for move in same:
                    move.target[part].addcmul_(move.length, direction)


class Iterate:
    """x, put together only when it is asked for: no vector of it stands beside a product.

    Args:
        unrounding: goes through its directions.
        most: steps that are held; with one more they become a vector.
        rest: what of x is none of the steps, `[entries]`; None: 0.

    Attributes:
        steps: lengths, and directions as they are kept.
    """

    def __init__(self, unrounding: Unrounding, most: int, rest: Tensor | None = None) -> None:
        self.steps: list[tuple[Tensor, Tensor]] = []
        self._unrounding = unrounding
        self._most = most
        self._rest = rest

    def at(self, x: Tensor) -> "Iterate":
        """Another, that goes on from a vector."""
        return Iterate(self._unrounding, self._most, x)

    def step(self, length: Tensor, direction: Tensor, like: Tensor) -> None:
        """Go along a direction, as it is kept; `like` is typed as x."""
        self.steps.append((length, direction))
        if len(self.steps) > self._most:
            self._rest, self.steps = self.whole(like), []

    def whole(self, like: Tensor) -> Tensor:
        """All of it, `[entries]`; it is not to be gone on with."""
        x, moves = self.moves(like)
        self._unrounding.go(moves)
        return x

    def moves(self, like: Tensor) -> tuple[Tensor, list[Move]]:
        """A vector, and the moves that make it all of x."""
        x = torch.zeros_like(like) if self._rest is None else self._rest
        return x, [Move(x, length, direction) for length, direction in self.steps]
