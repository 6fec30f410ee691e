"""Names and labels of many images in a few bytes each: every loader process holds a copy of them."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from bissl_ray.data.spec import UNLABELLED, Label

_Item = TypeVar("_Item")


class _Compact(Sequence[_Item]):
    """Is sliced, compared and shown as the list that it reads as."""

    @abstractmethod
    def _one(self, index: int) -> _Item: ...

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


class Names(_Compact[str]):
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


class Labels(_Compact[Label]):
    """Labels as one array of integers; reads as a list of `int` or of tuples of them does.

    Args:
        labels: one per image. Labels of several forms, which `check_labels` refuses, stay objects.
    """

    def __init__(self, labels: Iterable[Label]) -> None:
        given = list(labels)
        self._values: NDArray[Any]
        try:
            self._values = np.array(given, dtype=np.int64)
        except (ValueError, TypeError, OverflowError):
            self._values = np.empty(len(given), dtype=object)
            for place, label in enumerate(given):
                self._values[place] = label

    @classmethod
    def hidden(cls, count: int) -> "Labels":
        """`UNLABELLED` for so many images."""
        return cls._of(np.full(count, UNLABELLED, dtype=np.int64))

    @classmethod
    def _of(cls, values: NDArray[Any]) -> "Labels":
        labels = cls(())
        labels._values = values
        return labels

    def __len__(self) -> int:
        return len(self._values)

    def _one(self, index: int) -> Label:
        return _plain(self._values[index])

    def __iter__(self) -> Iterator[Label]:
        return map(_plain, self._values) if self._values.ndim > 1 else iter(self._values.tolist())

    def select(self, indices: Iterable[int]) -> "Labels":
        """Those of these indices, in this order."""
        return self._of(self._values[np.fromiter(indices, np.int64)])


def _plain(value: Any) -> Label:
    """A label in Python's own types: what it is checked, compared and shown as."""
    if isinstance(value, np.ndarray):
        return tuple(value.tolist())
    label: Label = value.item() if isinstance(value, np.generic) else value
    return label
