"""Known products in half the memory: those that tell most about H, rounded where it does no harm."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

_AT_ONCE = 1 << 21
"""Entries that the CPU works on at once: few enough to stay in its cache, and enough for all its threads."""


@dataclass(frozen=True)
class _Pair:
    """A direction w, and what H makes of it.

    Attributes:
        vector: w, `[entries]`.
        change: H w = A w − M w, `[entries]`.
        energy: wᵀ A w, a scalar on the device.
        strength: ‖H w‖ / ‖M w‖, about.
        stretch: ‖A w‖ / ‖w‖, likewise.
    """

    vector: Tensor
    change: Tensor
    energy: Tensor
    strength: float
    stretch: Tensor


class RoundedPairs:
    """Directions of conjugate gradients, each conjugate to all others, with their products.

    In float32, w is rounded to bfloat16 before it is multiplied (`rounded`), so that it is kept as it is; of A w, only
    what H adds to M w is rounded, which moves the residual of a start by 2⁻⁹ ‖H w‖ / ‖A w‖ of it, at random: less than
    1e-3 where M is the larger part. Sums are taken in float32. Other dtypes are kept as they are.

    Once there are more than `capacity`, the one goes along which H changes M least: there, M⁻¹ alone is as good.

    Args:
        capacity: pairs to keep, at least 1.

    Attributes:
        growth: the most, and at least 6, that the share of a residual which a step without a product would leave has
            grown from one iteration to the next; 1.1 to 4.1 times was seen on ResNets (docs/hypergradient.md).
    """

    def __init__(self, capacity: int) -> None:
        self.growth = 6.0
        self._room: _Room | None = None
        self._capacity = capacity
        self._pairs: list[_Pair] = []

    def __len__(self) -> int:
        return len(self._pairs)

    def clear(self) -> None:
        """Forget all pairs."""
        self._pairs.clear()

    def stretch(self) -> list[Tensor]:
        """‖A w‖ / ‖w‖ of each pair, scalars on the device."""
        return [pair.stretch for pair in self._pairs]

    def rounded(self, vector: Tensor) -> Tensor:
        """A vector as it can be kept; it may be changed in place."""
        return vector.copy_(vector.to(torch.bfloat16)) if vector.dtype == torch.float32 else vector

    def add(self, vector: Tensor, image: Tensor, diagonal: Tensor, energy: Tensor, strength: float) -> None:
        """Keep a pair.

        Args:
            vector: w, as `rounded` gave it; nothing may write to it afterwards.
            image: A w; it may be changed in place.
            diagonal: that of M, one number or `[entries]`.
            energy: wᵀ A w, a scalar on the device.
            strength: ‖H w‖ / ‖M w‖, about.
        """
        norm = torch.linalg.vector_norm
        stretch = norm(image) / norm(vector)
        kept = torch.bfloat16 if vector.dtype == torch.float32 else vector.dtype
        change = image.addcmul_(diagonal, vector, value=-1).to(kept)
        self._pairs.append(_Pair(vector.to(kept), change, energy, strength, stretch))
        if len(self._pairs) > self._capacity:
            # Not the newest: the next direction starts from there.
            del self._pairs[min(range(self._capacity), key=lambda i: self._pairs[i].strength)]

    def solve_within(self, v: Tensor, diagonal: Tensor) -> tuple[Tensor, Tensor]:
        """The Galerkin projection x of A⁻¹ v on the span of the directions, and its residual v − A x."""
        x, residual = torch.zeros_like(v), v.clone()
        if self._pairs:
            moments = self._over_stretches(v, lambda pair, part, room: room(pair.vector[part]).dot(v[part]))
            lengths = [moment / pair.energy for moment, pair in zip(moments, self._pairs, strict=True)]
            for part, room in self._stretches(v):
                weight = diagonal if diagonal.dim() == 0 else diagonal[part]
                for length, pair in zip(lengths, self._pairs, strict=True):
                    x[part].addcmul_(length, room(pair.vector[part]))
                    residual[part].addcmul_(length, room(pair.change[part]), value=-1)
                residual[part].addcmul_(weight, x[part], value=-1)
        return x, residual

    def conjugate(self, r: Tensor, diagonal: Tensor) -> Tensor:
        """What of r is conjugate to all directions, a new vector, as it can be kept."""
        p = r.clone()
        if self._pairs:

            def moment(pair: _Pair, part: slice, room: _Room) -> Tensor:
                # (M w + H w)ᵀr, where M is a number as wᵀr times it.
                of_change = room(pair.change[part]).dot(r[part])
                if diagonal.dim() == 0:
                    return of_change + diagonal * room(pair.vector[part]).dot(r[part])
                return of_change + room(pair.vector[part]).mul_(diagonal[part]).dot(r[part])

            moments = self._over_stretches(r, moment)
            lengths = [moment / pair.energy for moment, pair in zip(moments, self._pairs, strict=True)]
            for part, room in self._stretches(r):
                for length, pair in zip(lengths, self._pairs, strict=True):
                    p[part].addcmul_(length, room(pair.vector[part]), value=-1)
        return self.rounded(p)

    def _over_stretches(self, like: Tensor, summand: "Callable[[_Pair, slice, _Room], Tensor]") -> list[Tensor]:
        """A sum over all entries for each pair, scalars on the device."""
        totals: Tensor | None = None
        for part, room in self._stretches(like):
            numbers = torch.stack([summand(pair, part, room) for pair in self._pairs])
            totals = numbers if totals is None else totals.add_(numbers)
        assert totals is not None
        return list(totals.unbind())

    def _stretches(self, vector: Tensor) -> "Iterator[tuple[slice, _Room]]":
        """All of it; on the CPU a part at a time."""
        step = min(_AT_ONCE, len(vector)) if vector.device.type == "cpu" else len(vector)
        if self._room is None:
            self._room = _Room(step, vector)
        for start in range(0, len(vector), step):
            yield slice(start, start + step), self._room


class _Room:
    """Where a rounded part is unrounded, time and again: to have new memory mapped takes the CPU longer than the sums.

    Args:
        entries: of a part, at most.
        like: has the type and the device.
    """

    def __init__(self, entries: int, like: Tensor) -> None:
        self._entries = like.new_empty(entries)

    def __call__(self, rounded: Tensor) -> Tensor:
        """The same numbers, until the next call; they may be changed."""
        return self._entries[: len(rounded)].copy_(rounded)
