"""Names and labels of many images in a few bytes each: every loader process holds a copy of them."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from bissl_ray.data.spec import Label, Target

_Item = TypeVar("_Item")


class Packed(Sequence[_Item]):
    """Is sliced, compared and shown as the list that it reads as."""

    @abstractmethod
    def _one(self, index: int) -> _Item: ...

    @abstractmethod
    def select(self, indices: Iterable[int]) -> "Packed[_Item]":
        """Those of these indices, in this order."""

    @overload
    def __getitem__(self, index: int) -> _Item: ...

    @overload
    def __getitem__(self, index: slice) -> list[_Item]: ...

    def __getitem__(self, index: int | slice) -> _Item | list[_Item]:
        if isinstance(index, slice):
            return [self._one(i) for i in range(len(self))[index]]
        return self._one(index)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def __repr__(self) -> str:
        return repr(list(self))


class Names(Packed[str]):
    """Strings as bytes of UTF-8 in one buffer; reads as a list of them does.

    Args:
        names: file names; those that are no valid UTF-8 on the disk stay what they are.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._fill([name.encode("utf-8", "surrogateescape") for name in names])

    def _fill(self, encoded: Sequence[bytes]) -> None:
        self._bytes = b"".join(encoded)
        self._ends = np.cumsum(np.fromiter(map(len, encoded), np.int64, len(encoded)))

    def __len__(self) -> int:
        return len(self._ends)

    def _one(self, index: int) -> str:
        return self._encoded(range(len(self))[index]).decode("utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[str]:
        start = 0
        for end in self._ends.tolist():
            yield self._bytes[start:end].decode("utf-8", "surrogateescape")
            start = end

    def select(self, indices: Iterable[int]) -> "Names":
        """Those of these indices, from 0, in this order."""
        chosen = Names(())
        chosen._fill([self._encoded(index) for index in indices])
        return chosen

    def _encoded(self, index: int) -> bytes:
        start = int(self._ends[index - 1]) if index else 0
        return self._bytes[start : int(self._ends[index])]


class Labels(Packed[Label]):
    """Whole numbers, or tuples of them, as one array; reads as a list of `int` or of tuples of them does.

    Args:
        values: int64 (n,), or (n, numbers in each tuple).
    """

    def __init__(self, values: NDArray[np.int64]) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def _one(self, index: int) -> Label:
        return _plain(self._values[index])

    def __iter__(self) -> Iterator[Label]:
        return map(_plain, self._values) if self._values.ndim > 1 else iter(self._values.tolist())

    def select(self, indices: Iterable[int]) -> "Labels":
        """Those of these indices, in this order."""
        return Labels(self._values[np.fromiter(indices, np.int64)])


def packed(targets: Iterable[Target]) -> Sequence[Target]:
    """Targets as `Labels` where they are whole numbers, or equally long tuples of such; others as their class says.

    A class of targets may have a function `packed`, from a list of them to a `Packed`; what has none stays a list.
    """
    if isinstance(targets, Packed):
        return targets
    given = list(targets)
    own = getattr(type(given[0]), "packed", None) if given else None
    if own is not None:
        together: Packed[Target] = own(given)
        return together
    if all(_is_whole(target) or (type(target) is tuple and all(map(_is_whole, target))) for target in given):
        try:
            return Labels(np.array(given, dtype=np.int64))
        except (ValueError, TypeError, OverflowError):
            pass  # unlike one another, which the check of targets refuses, or too large
    return given


def selected(targets: Sequence[Target], indices: Sequence[int]) -> Sequence[Target]:
    """The targets of these indices, in this order."""
    return targets.select(indices) if isinstance(targets, Packed) else [targets[index] for index in indices]


def _is_whole(value: Any) -> bool:
    """Whether it is a whole number, which a truth value is not."""
    return type(value) is int or isinstance(value, np.integer)


def _plain(value: Any) -> Label:
    """A label in Python's own types: what it is checked, compared and shown as."""
    label: Label = tuple(value.tolist()) if isinstance(value, np.ndarray) else value.item()
    return label
