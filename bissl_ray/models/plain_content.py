"""What a file holds, brought to plain dicts of plain tensors, whatever it was made of: nothing of it is trusted.

A graph is not a tree: a part may lie in several places, or in itself. Each is looked at once.
"""

from typing import Any, Final

import torch
from torch import Tensor

from bissl_ray.models.inert import Inert, is_sharded

_DEEPEST: Final = 100
_LONGEST_NAME: Final = 200
_MOST_PARTS: Final = 1_000_000


class NotPlainError(Exception):
    """What a file holds can't be a network's weights; the message says why, after "holds"."""


class ShardedError(NotPlainError):
    """A tensor is the part of one that a process of a distributed run kept."""


def plain_content(content: Any) -> Any:
    """Nested dicts and networks as dicts by text or number; tensors detached, without what was set on them.

    What lies in itself is left out there.

    Raises:
        NotPlainError: a tensor is quantised, sparse, without numbers, or larger than what is stored of it; or parts lie
            in one another so often that there would be no end of them.
    """
    return _Walk().plain(content, 0)


class _Walk:
    """Goes through a graph of parts, each once."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[Any, int]] = {}
        self._on_the_way: set[int] = set()

    def plain(self, value: Any, depth: int) -> Any:
        return self._of(value, depth)[0]

    def _of(self, value: Any, depth: int) -> tuple[Any, int]:
        """A value made plain, and how many parts it unfolds to."""
        if isinstance(value, Tensor):
            return _plain_tensor(value), 1
        if not isinstance(value, dict | Inert):
            return value if type(value) in (bool, int, float, str, bytes, list, tuple) else None, 1
        place = id(value)
        if place in self._on_the_way or depth > _DEEPEST:
            return None, 1
        if place not in self._made:
            self._on_the_way.add(place)
            self._made[place] = self._unfolded(value, depth)
            self._on_the_way.remove(place)
        return self._made[place]

    def _unfolded(self, value: "dict[Any, Any] | Inert", depth: int) -> tuple[dict[Any, Any], int]:
        made: dict[Any, Any] = {}
        parts = 1
        for key, item in dict.items(value.holds if isinstance(value, Inert) else value):
            if isinstance(key, str) or type(key) is int:
                made[printable(key) if isinstance(key, str) else key], inside = self._of(item, depth + 1)
                parts += inside
        if parts > _MOST_PARTS:
            raise NotPlainError(f"more than {_MOST_PARTS:,} parts")
        return made, parts


def _plain_tensor(tensor: Tensor) -> Tensor:
    if is_sharded([type(tensor).__name__]):
        raise ShardedError("the part of a tensor")
    # Called by its class: a file may have set attributes of the same names.
    try:
        plain = Tensor.as_subclass(Tensor.detach(tensor), Tensor)
        stored = plain.untyped_storage().nbytes()
    except (NotImplementedError, RuntimeError):
        raise NotPlainError("a tensor that is sparse, or of another kind than plain numbers") from None
    what = None
    if plain.is_quantized:
        what = "quantised"
    elif plain.layout is not torch.strided:
        what = "sparse"
    elif plain.is_meta:
        what = "without numbers (of the device meta)"
    elif plain.numel() * plain.element_size() > stored:
        what = "larger than what is stored of it"
    if what is not None:
        raise NotPlainError(f"a tensor that is {what}")
    return plain


def printable(name: str) -> str:
    """A name from a file, for a line: what moves a cursor or breaks the line is escaped, and the rest cut."""
    short = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}..."
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in short)
