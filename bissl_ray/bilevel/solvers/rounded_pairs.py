"""Known products in half the memory: those that tell most about H, rounded where it does no harm."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bissl_ray.bilevel.solvers.unrounding import Iterate, Move, Room, Unrounding


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
        searched: whether a solve has computed a product of its own, so that `growth` tells something.
        growth: the most, and at least 6, that the share of a residual which a step without a product would leave has
            grown from one iteration to the next; 1.1 to 4.1 times was seen on ResNets (docs/hypergradient.md).
    """

    def __init__(self, capacity: int) -> None:
        self.searched = False
        self.growth = 6.0
        self._unrounding = Unrounding()
        self._capacity = capacity
        self._pairs: list[_Pair] = []

    def __len__(self) -> int:
        return len(self._pairs)

    def clear(self) -> None:
        """Forget all pairs."""
        self._pairs.clear()
        self.searched = False

    def stretch(self) -> list[Tensor]:
        """‖A w‖ / ‖w‖ of each pair, scalars on the device."""
        return [pair.stretch for pair in self._pairs]

    def rounded(self, vector: Tensor) -> Tensor:
        """A vector as it can be kept; it may be changed in place."""
        return vector.copy_(vector.to(torch.bfloat16)) if vector.dtype == torch.float32 else vector

    def add(self, vector: Tensor, image: Tensor, diagonal: Tensor, energy: Tensor, strength: float) -> Tensor:
        """Keep a pair, and let one go where there are too many.

        Args:
            vector: w, as `rounded` gave it; nothing may write to it afterwards.
            image: A w; it may be changed in place.
            diagonal: that of M, one number or `[entries]`.
            energy: wᵀ A w, a scalar on the device.
            strength: ‖H w‖ / ‖M w‖, about.

        Returns:
            w as it is kept.
        """
        norm = torch.linalg.vector_norm
        stretch = norm(image) / norm(vector)
        kept = torch.bfloat16 if vector.dtype == torch.float32 else vector.dtype
        change = image.addcmul_(diagonal, vector, value=-1).to(kept)
        kept_vector = vector.to(kept)
        self._pairs.append(_Pair(kept_vector, change, energy, strength, stretch))
        if len(self._pairs) > self._capacity:
            # Not the newest: the next direction starts from there.
            del self._pairs[min(range(self._capacity), key=lambda i: self._pairs[i].strength)]
        return kept_vector

    def at_zero(self) -> Iterate:
        """An iterate that is 0."""
        # Two more than pairs: where these have let as many go, they are held for x alone, as much as one vector of it.
        return Iterate(self._unrounding, self._capacity + 2)

    def solve_within(self, v: Tensor, diagonal: Tensor) -> tuple[Iterate, Tensor]:
        """The Galerkin projection x of A⁻¹ v on the span of the directions, and its residual v − A x."""
        x, residual = self.at_zero(), v.clone()
        if self._pairs:
            moments = self._over_stretches(v, lambda pair, part, room: room(pair.vector[part]).dot(v[part]))
            x.steps = [(moment / pair.energy, pair.vector) for moment, pair in zip(moments, self._pairs, strict=True)]
            sums: Room | None = None
            for part, room in self._unrounding.stretches(v):
                sums = Room(v[part]) if sums is None else sums
                within = sums.of_zeros(v[part])
                for (length, vector), pair in zip(x.steps, self._pairs, strict=True):
                    within.addcmul_(length, room(vector[part]))
                    residual[part].addcmul_(length, room(pair.change[part]), value=-1)
                residual[part].addcmul_(diagonal if diagonal.dim() == 0 else diagonal[part], within, value=-1)
        return x, residual

    def conjugate(self, r: Tensor, diagonal: Tensor) -> Tensor:
        """What of r is conjugate to all directions, a new vector, as it can be kept."""
        p = r.clone()
        self._unrounding.go(self._away(p, r, diagonal))
        return self.rounded(p)

    def conjugate_and_whole(self, r: Tensor, diagonal: Tensor, x: Iterate) -> tuple[Tensor, Tensor]:
        """The same, and all of x, reading each direction once for both."""
        p, (whole, moves) = r.clone(), x.moves(r)
        self._unrounding.go([*self._away(p, r, diagonal), *moves])
        return self.rounded(p), whole

    def make_conjugate(self, vector: Tensor, change: Tensor, diagonal: Tensor) -> None:
        """Make w conjugate to all directions and H w what belongs to it, both in place."""
        moves: list[Move] = []
        for length, pair in self._lengths(vector, diagonal):
            moves += Move(vector, length, pair.vector), Move(change, length, pair.change)
        self._unrounding.go(moves)

    def _away(self, p: Tensor, r: Tensor, diagonal: Tensor) -> list[Move]:
        """The moves that make p, a copy of r, conjugate to all directions."""
        return [Move(p, length, pair.vector) for length, pair in self._lengths(r, diagonal)]

    def _lengths(self, r: Tensor, diagonal: Tensor) -> list[tuple[Tensor, _Pair]]:
        """How far to go along each direction so that r becomes conjugate to all."""

        def moment(pair: _Pair, part: slice, room: Room) -> Tensor:
            # (M w + H w)ᵀr, where M is a number as wᵀr times it.
            of_change = room(pair.change[part]).dot(r[part])
            if diagonal.dim() == 0:
                return of_change + diagonal * room(pair.vector[part]).dot(r[part])
            return of_change + room(pair.vector[part]).mul_(diagonal[part]).dot(r[part])

        moments = self._over_stretches(r, moment) if self._pairs else []
        return [(-moment / pair.energy, pair) for moment, pair in zip(moments, self._pairs, strict=True)]

    def _over_stretches(self, like: Tensor, summand: Callable[[_Pair, slice, Room], Tensor]) -> list[Tensor]:
        """A sum over all entries for each pair, scalars on the device."""
        totals: Tensor | None = None
        for part, room in self._unrounding.stretches(like):
            numbers = torch.stack([summand(pair, part, room) for pair in self._pairs])
            totals = numbers if totals is None else totals.add_(numbers)
        assert totals is not None
        return list(totals.unbind())
