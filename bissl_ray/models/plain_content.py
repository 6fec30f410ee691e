"""What a file holds, brought to plain dicts of plain tensors, whatever it was made of: nothing of it is trusted.

A graph is not a tree: a part may lie in several places, or in itself. Each is looked at once.
"""

from typing import Any, Final

import torch
from torch import Tensor

from bissl_ray.models.inert import Inert

_DEEPEST: Final = 100
_LONGEST_NAME: Final = 200


class NotPlainError(Exception):
    """A tensor is none whose numbers could be weights; the message says what it is."""


def plain_content(content: Any) -> Any:
    """Nested dicts and networks as dicts by text or number; tensors detached, without what was set on them.

    Raises:
        NotPlainError: a tensor is quantised, sparse, without numbers, or larger than what is stored of it.
    """
    return _plain(content, {}, 0)


def _plain(value: Any, seen: dict[int, Any], depth: int) -> Any:
    if isinstance(value, Tensor):
        return _plain_tensor(value)
    if not isinstance(value, dict | Inert):
        return value if value is None or type(value) in (bool, int, float, str, bytes, list, tuple) else None
    if id(value) in seen or depth > _DEEPEST:
        return seen.get(id(value))
    made: dict[Any, Any] = {}
    # A part that lies in itself is there already.
    seen[id(value)] = made
    held = value.holds if isinstance(value, Inert) else value
    for key, item in dict.items(held):
        if isinstance(key, str):
            made[printable(key)] = _plain(item, seen, depth + 1)
        elif type(key) is int:
            made[key] = _plain(item, seen, depth + 1)
    return made


def _plain_tensor(tensor: Tensor) -> Tensor:
    # Called by its class: a file may have set attributes of the same names.
    plain = Tensor.as_subclass(Tensor.detach(tensor), Tensor)
    what = None
    if plain.is_quantized:
        what = "quantised"
    elif plain.layout is not torch.strided:
        what = "sparse"
    elif plain.is_meta:
        what = "without numbers (of the device meta)"
    elif plain.numel() * plain.element_size() > plain.untyped_storage().nbytes():
        what = "larger than what is stored of it"
    if what is not None:
        raise NotPlainError(f"a tensor that is {what}")
    return plain


def printable(name: str) -> str:
    """A name from a file, for a line: what moves a cursor or breaks the line is escaped, and the rest cut."""
    short = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}..."
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in short)
