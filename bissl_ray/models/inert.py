"""Reads files that hold more than tensors and plain values, without running anything that they name.

A pickle may name any class or function for its reader to call, and set attributes of whatever it has named. Here each
name but those of torch's own tensors stands for an inert object, which keeps what it is given and does nothing; and
what makes tensors can't be changed. So a file needs neither trust nor the package that its classes are from.
"""

import pickle
import types
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor


class _Maker:
    """A function of torch's that a pickle may call, and not change: attributes that it sets are dropped."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self._function(*arguments, **options)

    def __setstate__(self, state: object) -> None:
        """Drop it."""


def _of_another_type(function: Any, _kind: Any, arguments: Any, _state: Any) -> Any:
    """A tensor that was saved as one of a class of its own."""
    return function(*arguments) if isinstance(function, _Maker) else None


_TENSORS: Final = {
    ("collections", "OrderedDict"): _Maker(OrderedDict),
    ("torch", "Size"): _Maker(torch.Size),
    ("torch", "device"): _Maker(torch.device),
    ("torch._tensor", "_rebuild_from_type_v2"): _Maker(_of_another_type),
    **{
        ("torch._utils", name): _Maker(getattr(torch._utils, name))
        for name in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter", "_rebuild_parameter_with_state")
    },
    **{("torch", name): value for name, value in vars(torch).items() if isinstance(value, torch.dtype)},
}
"""All that is called by its name: what torch's tensors are made of."""

_NOT_PLAIN: Final = (
    *("_rebuild_qtensor", "_rebuild_sparse_tensor", "_rebuild_sparse_csr_tensor", "_rebuild_meta_tensor_no_storage"),
    *("_rebuild_nested_tensor", "_rebuild_wrapper_subclass"),
)
_SHARDED: Final = ("ShardedTensor", "DTensor", "_rebuild_dtensor")


class Inert:
    """An object of another class than torch's tensors, with what it was given.

    Attributes:
        place: of the class, as "module.Class".
        given: what it was made with.
        state: its attributes, where it has such.
        entries: what it holds as a dictionary does.
    """

    place = ""
    given: tuple[Any, ...]
    state: dict[str, Any]
    entries: dict[Any, Any]

    def __new__(cls, *given: Any, **_: Any) -> "Inert":
        """Make one: pickles fill objects that were never initialised."""
        made = super().__new__(cls)
        made.given, made.state, made.entries = given, {}, {}
        return made

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __call__(self, *given: Any, **_: Any) -> "Inert":
        """What a call of it gives: another that does nothing."""
        return Inert(*given)

    def __setstate__(self, state: Any) -> None:
        # With slots, attributes come as a pair.
        parts = state if isinstance(state, tuple) else (state,)
        for part in parts:
            if isinstance(part, dict):
                self.state.update(part)

    @property
    def holds(self) -> dict[Any, Any]:
        """What of it may be tensors: a network's own, else its entries, else whatever else it has."""
        parts = dict(self.entries)
        for kind in ("_parameters", "_buffers", "_modules"):
            held = self.state.get(kind)
            if isinstance(held, dict):
                parts |= {name: item for name, item in held.items() if item is not None}
        other = {str(number): item for number, item in enumerate(self.given)} | self.state
        return parts or {name: item for name, item in other.items() if isinstance(item, Inert | dict | Tensor)}

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
        Its content, with objects of other classes as `Inert`; and the names that stayed so, each once.

    Raises:
        Exception: whatever its damage leads to.
    """
    seen: dict[str, None] = {}

    # Python's own: the compiled one makes room for as many parts as a file says that it has.
    class Unpickler(pickle._Unpickler):
        _given: Callable[[Any], Any]

        @property
        def persistent_load(self) -> Callable[[Any], Any]:
            return self._storage

        @persistent_load.setter
        def persistent_load(self, function: Callable[[Any], Any]) -> None:
            self._given = function

        def _storage(self, saved: Any) -> Any:
            # Files of old also name the source of a class, which torch would compare, and write a patch of.
            if isinstance(saved, tuple) and saved and saved[0] in ("module", b"module"):
                return saved[1]
            if not isinstance(saved, tuple) or not saved or saved[0] not in ("storage", b"storage"):
                raise pickle.UnpicklingError("it refers to something else than the numbers of a tensor")
            return self._given(saved)

        def find_class(self, module: str, name: str) -> Any:
            known = _TENSORS.get((module, name))
            if known is not None:
                return known
            seen[f"{module}.{name}"] = None
            return type("Inert", (Inert,), {"place": f"{module}.{name}"})

    # What torch asks of a module that pickles.
    reader = types.SimpleNamespace(
        Unpickler=Unpickler, load=lambda file, **options: Unpickler(file, **options).load(), __name__=__name__
    )
    with source.open("rb") as file:
        return torch.load(file, map_location="cpu", pickle_module=reader, weights_only=False), tuple(seen)


def is_sharded(names: Iterable[str]) -> bool:
    """Whether names of classes say that the tensors are parts that a distributed run keeps on its processes."""
    return any(name.endswith(_SHARDED) for name in names)


def without_numbers(names: Iterable[str]) -> str | None:
    """The first name that says of a tensor that it is no plain one, such as a quantised; None where there is none."""
    return next((name for name in names if name.endswith(_NOT_PLAIN)), None)
