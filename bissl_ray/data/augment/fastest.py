"""The colours of one view in the fastest way that this machine has: compiled, or by torch's operations."""

from collections.abc import Callable
from functools import cache

from torch import Tensor

from bissl_ray.data.augment.batched import Recipes, coloured_batch
from bissl_ray.data.augment.draws import Colours

Coloured = Callable[[Tensor, Colours, int], Tensor]


def coloured(view: Tensor, colours: Colours, blur_width: int) -> Tensor:
    """Carry out what was drawn for a view, uint8 (3, S, S), which is changed; see `compiled.coloured`."""
    return fastest()(view, colours, blur_width)


def compiles() -> bool:
    """Whether it is compiled."""
    return fastest() is not _one_by_one


@cache
def fastest() -> Coloured:
    """Compiled kernels; where numba is missing torch's operations, of the same values in over five times the time."""
    try:
        from bissl_ray.data.augment.compiled import coloured as compiled
    except ImportError:
        return _one_by_one
    return compiled


def _one_by_one(view: Tensor, colours: Colours, blur_width: int) -> Tensor:
    return coloured_batch(view[None], Recipes.of([colours], blur_width))[0]
