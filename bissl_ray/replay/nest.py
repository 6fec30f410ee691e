"""Nests of tensors (tuples, lists, dictionaries) as flat lists, and what must stay the same for a recording to fit."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten


@dataclass(frozen=True)
class Signature:
    """How a nest is built, and shape, type and device of each of its tensors; equal ones fit the same recording."""

    structure: TreeSpec
    tensors: tuple[tuple[torch.Size, torch.dtype, torch.device], ...]

    def nest(self, leaves: Sequence[Tensor]) -> Any:
        """The nest of these tensors."""
        return tree_unflatten(list(leaves), self.structure)


def opened(nest: Any) -> tuple[list[Tensor], Signature] | None:
    """A nest's tensors and its signature; None where it holds anything else, or what wants a gradient."""
    leaves, structure = tree_flatten(nest)
    if not leaves or not all(type(leaf) is Tensor and not leaf.requires_grad for leaf in leaves):
        return None
    return leaves, Signature(structure, tuple((leaf.shape, leaf.dtype, leaf.device) for leaf in leaves))


def difference(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float | None:
    """How far tensors are from others: ‖found − expected‖ / ‖expected‖ over all together, or of a scalar that is worse.

    Infinite where numbers that are not floating point are unequal, or `found` is not finite; None where `expected` is
    not: there is nothing to compare with.
    """
    pairs = list(zip(found, expected, strict=True))
    floats = [(one, other) for one, other in pairs if other.is_floating_point() and other.numel()]
    if not all(bool(other.isfinite().all()) for _, other in floats):
        return None
    if not all(torch.equal(one, other) for one, other in pairs if not other.is_floating_point()):
        return math.inf
    scalars = [[pair] for pair in floats if pair[1].numel() == 1]
    others = [pair for pair in floats if pair[1].numel() > 1]
    return max((_relative(group) for group in [*scalars, others] if group), default=0.0)


def _relative(pairs: Sequence[tuple[Tensor, Tensor]]) -> float:
    # One after another, so that no more than one of them is there in double precision.
    apart, whole = _length(one.double() - other.double() for one, other in pairs), _length(pair[1] for pair in pairs)
    if not math.isfinite(apart):
        return math.inf
    return apart / whole if whole else apart


def _length(tensors: Iterable[Tensor]) -> float:
    return float(torch.stack([torch.linalg.vector_norm(tensor, dtype=torch.float64) for tensor in tensors]).norm())
