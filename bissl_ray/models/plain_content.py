"""What a file holds, brought to plain dicts of tensors, whatever it was made of: nothing of it is trusted.

A graph is not a tree: a part may lie in several places, or in itself. Each is looked at once.
"""

from typing import Any, Final

from torch import Tensor

from bissl_ray.models.inert import Inert, is_sharded, without_numbers
from bissl_ray.models.odd_tensors import NotPlainError

_DEEPEST: Final = 100
_LONGEST_NAME: Final = 200
_MOST_PARTS: Final = 1_000_000


class ShardedError(Exception):
    """A tensor is the part of one that a process of a distributed run kept."""


def plain_content(content: Any) -> Any:
    """Nested dicts and networks as dicts by text or number; tensors detached, without what was set on them.

    What lies in itself is left out there. Tensors may be such as no weights are (`odd_tensors`).

    Raises:
        NotPlainError: a tensor can't be made without running what the file names; or parts lie in one another so often
            that there would be no end of them.
        ShardedError: a tensor is a part of one.
    """
    return _Walk().plain(content)


class _Walk:
    """Goes through a graph of parts, each once."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[Any, int]] = {}
        self._on_the_way: set[int] = set()

    def plain(self, value: Any) -> Any:
        return self._of(value, "", 0)[0]

    def _of(self, value: Any, name: str, depth: int) -> tuple[Any, int]:
        """A value made plain, and how many parts it unfolds to."""
        if isinstance(value, Tensor):
            return _detached(value), 1
        if not isinstance(value, dict | Inert):
            return value if type(value) in (bool, int, float, str, bytes, list, tuple) else None, 1
        if isinstance(value, Inert) and without_numbers([value.place]):
            raise NotPlainError(name, f"a tensor that is no plain one ({value.place})", "give it as it was before")
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
                name = printable(key) if isinstance(key, str) else key
                made[name], inside = self._of(item, str(name), depth + 1)
                parts += inside
        if parts > _MOST_PARTS:
            raise NotPlainError("", f"more than {_MOST_PARTS:,} parts", "write the state dict alone")
        return made, parts


def _detached(tensor: Tensor) -> Tensor:
    if is_sharded([type(tensor).__name__]):
        raise ShardedError
    # Called by its class: a file may have set attributes of the same names.
    try:
        alone = Tensor.detach(tensor)
        return alone if type(alone) is Tensor else Tensor.as_subclass(alone, Tensor)
    except (NotImplementedError, RuntimeError):
        raise NotPlainError("", "a tensor of a kind that can't be read", "give the weights as plain tensors") from None


def printable(name: str) -> str:
    """A name from a file, for a line: what moves a cursor or breaks the line is escaped, and the rest cut."""
    short = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}..."
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in short)
