"""Products that were computed beside the solves, left where the first solve of an alternation starts from."""

from typing import Final

import torch
from torch import Tensor

from bissl_ray.bilevel.solvers.frugal_cg import strength_of
from bissl_ray.bilevel.solvers.rounded_pairs import RoundedPairs
from bissl_ray.bilevel.solvers.system import LinearSystem

_NEW: Final = 0.05
"""A vector of which less is left, once it is clear of what is known, tells nothing but rounding."""


def hand_over(system: LinearSystem, vector: Tensor, change: Tensor, method: str) -> None:
    """Leave a pair (w, A w), A = M + H, in `system.known`, as the next solve's method keeps such pairs.

    What methods keep from solve to solve is clear of each other: conjugate, or for "minres" with orthogonal images. So
    w is made clear of what was handed over before; where that leaves nothing of it, or wᵀAw is not positive, it is
    left out.

    Args:
        system: the system; of its right-hand side nothing is read.
        vector: w, `[entries]`; it may be changed.
        change: H w, likewise.
        method: as of `solve`.
    """
    known = system.known
    if known.rounded is not None:
        _hand_over_rounded(system, known.rounded, vector, change)
        return
    image = torch.addcmul(change, system.diagonal, vector)
    size = image if method == "minres" else vector
    before = size.dot(image)
    for other, other_image in zip(known.vectors, known.images, strict=True):
        tested = other_image if method == "minres" else other
        part = tested.dot(image) / tested.dot(other_image)
        vector.addcmul_(part, other, value=-1)
        image.addcmul_(part, other_image, value=-1)
    whole, left = system.on_host(before, size.dot(image))
    if left > _NEW * whole > 0:
        known.add(vector, image)


def _hand_over_rounded(system: LinearSystem, pairs: RoundedPairs, vector: Tensor, change: Tensor) -> None:
    """The same for rounded pairs.

    w is rounded after its product was taken, not before: M w stays exact, and H adds the rounding of a vector at
    random, which H lengthens less than w.
    """
    whole = vector.dot(torch.addcmul(change, system.diagonal, vector))
    pairs.make_conjugate(vector, change, system.diagonal)
    vector = pairs.rounded(vector)
    image = torch.addcmul(change, system.diagonal, vector)
    energy = vector.dot(image)
    before, left, strength = system.on_host(whole, energy, strength_of(system, vector, image, change))
    if left > _NEW * before > 0:
        pairs.add(vector, image, system.diagonal, energy, strength)
