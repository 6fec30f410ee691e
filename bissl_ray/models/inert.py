"""Reads files that hold more than tensors and plain values, without running anything that they name.

A pickle may name any class or function for its reader to call. Here each name but those of torch's own tensors stands
for an inert object, which keeps what it is given and does nothing. So a file needs neither trust nor the package that
its classes are from.
"""

import pickle
import types
from collections import Counter, OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

_TENSORS: Final = {
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "Counter"): Counter,
    ("torch", "Size"): torch.Size,
    ("torch", "device"): torch.device,
    ("torch.nn.parameter", "Parameter"): torch.nn.Parameter,
    **{
        ("torch._utils", name): getattr(torch._utils, name)
        for name in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter", "_rebuild_parameter_with_state")
    },
    **{("torch", name): value for name, value in vars(torch).items() if isinstance(value, torch.dtype)},
}
"""All that is called by its name: what torch's tensors are made of."""

_SHARDED: Final = ("ShardedTensor", "DTensor", "_rebuild_dtensor")


class Inert:
    """An object of another class than torch's tensors, with what it was given.

    Attributes:
        place: of the class, as "module.Class".
        state: its attributes, where it has such.
        entries: what it holds as a dictionary does.
    """

    place = ""

    def __new__(cls, *_: Any, **__: Any) -> "Inert":
        """Make one that holds nothing yet: pickles fill objects that were never initialised."""
        made = super().__new__(cls)
        made.state, made.entries = {}, {}
        return made

    state: dict[str, Any]
    entries: dict[Any, Any]

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        # With slots, attributes come as a pair.
        parts = state if isinstance(state, tuple) else (state,)
        for part in parts:
            if isinstance(part, dict):
                self.state.update(part)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.entries[key] = value

    def append(self, item: Any) -> None:
        """Take an item, as a list does, and forget it: tensors without names are of no use."""

    def extend(self, items: Iterable[Any]) -> None:
        """Take items, likewise."""

    def add(self, item: Any) -> None:
        """Take an item, as a set does, likewise."""


def read_inert(source: Path) -> tuple[Any, tuple[str, ...]]:
    """Read a file of torch.save; nothing that it names is run.

    Args:
        source: the file.

    Returns:
        Its content, with networks as nested dicts of their tensors; and the names that stayed inert, each once.

    Raises:
        Exception: whatever its damage leads to.
    """
    seen: dict[str, None] = {}

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            known = _TENSORS.get((module, name))
            if known is not None:
                return known
            seen[f"{module}.{name}"] = None
            return type(name.rpartition(".")[2] or "Inert", (Inert,), {"place": f"{module}.{name}"})

    # What torch asks of a module that pickles.
    reader = types.SimpleNamespace(
        Unpickler=Unpickler, load=lambda file, **options: Unpickler(file, **options).load(), __name__=__name__
    )
    with source.open("rb") as file:
        content = torch.load(file, map_location="cpu", pickle_module=reader, weights_only=False)
    return _plain(content, depth=0), tuple(seen)


def is_sharded(names: Iterable[str]) -> bool:
    """Whether names of classes say that the tensors are parts that a distributed run keeps on its processes."""
    return any(name.endswith(_SHARDED) for name in names)


_DEEPEST: Final = 200


def _plain(value: Any, depth: int) -> Any:
    """Dictionaries and networks as dictionaries; tensors; everything else as it is."""
    if isinstance(value, Tensor) or depth > _DEEPEST:
        return value
    if isinstance(value, dict):
        return {key: _plain(item, depth + 1) for key, item in value.items()}
    if not isinstance(value, Inert):
        return value
    parts: dict[Any, Any] = dict(value.entries)
    for kind in ("_parameters", "_buffers", "_modules"):
        held = value.state.get(kind)
        if isinstance(held, dict):
            parts |= {name: item for name, item in held.items() if item is not None}
    # A container of something else, such as a trainer that holds the network.
    parts = parts or {name: item for name, item in value.state.items() if isinstance(item, Inert | dict | Tensor)}
    return {key: _plain(item, depth + 1) for key, item in parts.items()}
