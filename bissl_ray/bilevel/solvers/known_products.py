"""Products that were computed for one matrix, kept so that the next solve starts where they reach."""

from dataclasses import dataclass
from typing import Final, Self

import torch
from torch import Tensor

from bissl_ray.bilevel.solvers.rounded_pairs import RoundedPairs

ROUNDED_FROM: Final = 5e-3
"""The tolerance from which on rounded pairs do no harm: they move a residual by less than a fifth of it."""


@dataclass(frozen=True)
class SpectrumEstimate:
    """What a few Lanczos steps told about the eigenvalues of the matrix.

    Attributes:
        smallest: smallest Ritz value.
        largest: largest Ritz value.
        rest: norm of what the last step left over; largest + rest bounds the eigenvalues from above, unless the start
            was all but orthogonal to the largest one's direction.
    """

    smallest: float
    largest: float
    rest: float


class KnownProducts:
    """Vectors w with their images A w, A = M + H the same for all; the oldest make room for new ones.

    Args:
        capacity: pairs to keep, each of two vectors of all parameter entries; 0 keeps none.

    Attributes:
        capacity: as given.
        rounded: what conjugate gradients keep instead, where they need not be exact; None where they must.
        vectors: the vectors, `[entries]` each.
        images: their images, likewise.
        spectrum: an estimate of A's eigenvalues; None until a solver that needs one has left it.
        damping: what M has in it beside λ, where that was found from H; None until then.
        carried: a solution of an earlier system, for the next one to start from, `[entries]`; None where there is
            none, or it has been made use of.
        carried_image: A times it, where a solver that carries its iterate on has left both; None at first.
        indefinite: whether a solver has met negative curvature, so that A has no energy norm to start by.

    Raises:
        ValueError: a negative capacity.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 0:
            raise ValueError(f"the capacity is {capacity}: expected 0 (keep nothing) or more")
        self.capacity = capacity
        self.rounded: RoundedPairs | None = None
        self.vectors: list[Tensor] = []
        self.images: list[Tensor] = []
        self.spectrum: SpectrumEstimate | None = None
        self.damping: float | None = None
        self.carried: Tensor | None = None
        self.carried_image: Tensor | None = None
        self.indefinite = False
        self._energies: list[list[Tensor]] = []
        self._squares: list[list[Tensor]] = []

    @classmethod
    def between_solves(cls, capacity: int, method: str, tolerance: float) -> Self:
        """What the solves of one alternation hand on, for their method and the residual that they stop at.

        "cg" with a tolerance of 0.005 or more keeps rounded pairs, and is then `frugal_conjugate_gradient`.
        """
        known = cls(capacity)
        if method == "cg" and capacity > 0 and tolerance >= ROUNDED_FROM:
            known.rounded = RoundedPairs(capacity)
        return known

    def __len__(self) -> int:
        return len(self.vectors) if self.rounded is None else len(self.rounded)

    def add(self, vector: Tensor, image: Tensor) -> None:
        """Keep a pair; nothing may write to the two tensors afterwards."""
        # Where rounded pairs were kept and negative curvature was met, solves start at 0: they need none.
        if self.capacity == 0 or self.rounded is not None:
            return
        if len(self.vectors) == self.capacity:
            del self.vectors[0], self.images[0]
            for rows in (self._energies, self._squares):
                del rows[:1]
                for row in rows:
                    del row[0]
        self.vectors.append(vector)
        self.images.append(image)

    def energies(self) -> list[list[Tensor]]:
        """The scalars wᵢᵀ A wⱼ for j ≤ i, a row per i; only those not asked for before are computed."""
        return _lower_triangle(self._energies, self.vectors, self.images)

    def squares(self) -> list[list[Tensor]]:
        """The scalars (A wᵢ)ᵀ (A wⱼ) for j ≤ i, likewise."""
        return _lower_triangle(self._squares, self.images, self.images)

    def stretch(self) -> list[Tensor]:
        """‖A w‖ / ‖w‖ for each pair: how long A makes what was searched; scalars on the device."""
        if self.rounded is not None:
            return self.rounded.stretch()
        norms = torch.linalg.vector_norm
        return [norms(image) / norms(vector) for vector, image in zip(self.vectors, self.images, strict=True)]


def _lower_triangle(rows: list[list[Tensor]], left: list[Tensor], right: list[Tensor]) -> list[list[Tensor]]:
    for i in range(len(rows), len(left)):
        rows.append([left[j].dot(right[i]) for j in range(i + 1)])
    return rows
