"""Passes over values that torch.compile joins into few kernels, where a run asks for that and a compiler is there.

Each is written twice: as torch's operations, which are the reference and what runs otherwise; and in plain arithmetic,
for the compiler to make one kernel of, on the CPU (C++) and on CUDA (Triton). Both give the same values, rounded
otherwise.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Final, Generic, ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
T = TypeVar("T")

_RECOMPILED: Final = 64
"""Times that one function may be compiled: for each dtype, layout and number of dimensions, and for sizes that are 1 or
happen to be equal."""


class _Wish:
    """Whether passes are to be compiled now, and who hears that they can't be."""

    say: Callable[[str], None] | None = None


@contextmanager
def compiled_passes(say: Callable[[str], None] | None) -> Iterator[None]:
    """Compile the passes inside; the first time that this fails they go on as torch's operations, all of them.

    Args:
        say: takes a line for a person, when it fails; None: nothing is compiled.
    """
    if say is None:
        yield
        return
    import torch._dynamo
    import torch._inductor.config

    before, _Wish.say = _Wish.say, say
    # A pool of compilers would stay behind as processes.
    alone = torch._inductor.config.patch(compile_threads=1)
    often = torch._dynamo.config.patch(recompile_limit=_RECOMPILED)
    try:
        with alone, often:
            yield
    finally:
        _Wish.say = before


class Fused(Generic[P, T]):
    """A function of tensors, as torch's operations or compiled.

    Args:
        reference: it as torch's operations.
        plain: it as plain arithmetic.
    """

    def __init__(self, reference: Callable[P, T], plain: Callable[P, T]) -> None:
        self._reference = reference
        self._plain = plain

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Compute it in the way that is wished and possible."""
        # Fake tensors, which only memory is counted with, are of another type.
        if _Wish.say is None or any(isinstance(each, Tensor) and type(each) is not Tensor for each in args):
            return self._reference(*args, **kwargs)
        try:
            return self._compiled(*args, **kwargs)
        except Exception as error:  # whatever a compiler fails by; what is not its fault fails again
            say, _Wish.say = _Wish.say, None
            result = self._reference(*args, **kwargs)
            say(f"compile auto: goes on with torch's own operations, since torch.compile failed ({_in_short(error)})")
            return result

    @cached_property
    def _compiled(self) -> Callable[P, T]:
        # Symbolic sizes: one kernel for all layers.
        compiled: Any = torch.compile(self._plain, dynamic=True, fullgraph=True)
        return compiled  # type: ignore[no-any-return]


def _in_short(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:100]}"
