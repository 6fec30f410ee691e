"""Products that were computed for one matrix, kept so that the next solve starts where they reach."""

import torch
from torch import Tensor


class KnownProducts:
    """Vectors w with their images A w, A = M + H the same for all; the oldest make room for new ones.

    Args:
        capacity: pairs to keep, each of two vectors of all parameter entries; 0 keeps none.

    Attributes:
        vectors: the vectors, `[entries]` each.
        images: their images, likewise.

    Raises:
        ValueError: a negative capacity.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 0:
            raise ValueError(f"the capacity is {capacity}: expected 0 (keep nothing) or more")
        self._capacity = capacity
        self.vectors: list[Tensor] = []
        self.images: list[Tensor] = []
        self._energies: list[list[Tensor]] = []
        self._squares: list[list[Tensor]] = []

    def __len__(self) -> int:
        return len(self.vectors)

    def add(self, vector: Tensor, image: Tensor) -> None:
        """Keep a pair; nothing may write to the two tensors afterwards."""
        if self._capacity == 0:
            return
        if len(self.vectors) == self._capacity:
            del self.vectors[0], self.images[0]
            for rows in (self._energies, self._squares):
                del rows[:1]
                for row in rows:
                    del row[0]
        self.vectors.append(vector)
        self.images.append(image)

    def energies(self) -> list[Tensor]:
        """The scalars wᵢᵀ A wⱼ for j ≤ i, row after row; only those not asked for before are computed."""
        return _lower_triangle(self._energies, self.vectors, self.images)

    def squares(self) -> list[Tensor]:
        """The scalars (A wᵢ)ᵀ (A wⱼ) for j ≤ i, likewise."""
        return _lower_triangle(self._squares, self.images, self.images)


def _lower_triangle(rows: list[list[Tensor]], left: list[Tensor], right: list[Tensor]) -> list[Tensor]:
    for i in range(len(rows), len(left)):
        rows.append([left[j].dot(right[i]) for j in range(i + 1)])
    return [number for row in rows for number in row]


def symmetric(numbers: list[float], size: int) -> Tensor:
    """A symmetric matrix from its lower triangle, row after row, `[size, size]` in float64 on the CPU."""
    matrix = torch.zeros(size, size, dtype=torch.float64)
    rows, columns = torch.tril_indices(size, size)
    matrix[rows, columns] = torch.tensor(numbers, dtype=torch.float64)
    return matrix + matrix.tril(-1).T
