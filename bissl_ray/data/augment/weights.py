"""The weights of torch's antialiased bicubic resizing along one axis, in the whole numbers of its kernel for uint8.

A length is resized the same wherever a crop lies and whatever it shows, so weights are made once for each length.
"""

import math
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

_REACH: Final = 2.0
_MOST_PRECISE: Final = 22


class Axis(NamedTuple):
    """What each of S new values along an axis is a sum of.

    Attributes:
        first: the first old value that counts, int32 (S).
        weights: of that one and those after it, int16 (taps, S); 0 past the last that counts.
        precision: the power of two that a weight of one is.
    """

    first: NDArray[np.int32]
    weights: NDArray[np.int16]
    precision: int

    def mirrored(self) -> "Axis":
        """The same values the other way round."""
        return Axis(self.first[::-1], self.weights[:, ::-1], self.precision)


@lru_cache(maxsize=1024)
def axis(length: int, side: int) -> Axis:
    """The sums that make `side` values of `length` values; nothing may write to them."""
    scale = length / side
    stretch = max(scale, 1.0)
    reach = _REACH * stretch
    centres = scale * (np.arange(side) + 0.5)
    # Towards zero, as C++ makes whole numbers.
    first = np.maximum((centres - reach + 0.5).astype(np.int64), 0)
    counts = np.minimum((centres + reach + 0.5).astype(np.int64), length) - first
    taps = np.arange(2 * math.ceil(reach) + 1)[:, None]
    weights = np.where(taps < counts, _bicubic((taps + first - centres + 0.5) * (1.0 / stretch)), 0.0)
    # One after another: the sum's last bit depends on the order.
    weights /= np.cumsum(weights, axis=0)[-1]
    precision = _precision(weights.max())
    scaled = weights * (1 << precision)
    whole = np.trunc(scaled + np.where(scaled < 0, -0.5, 0.5)).astype(np.int16)
    used = int(np.flatnonzero(whole.any(axis=1))[-1]) + 1
    return Axis(first.astype(np.int32), np.ascontiguousarray(whole[:used]), precision)


def _bicubic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' cubic with a = −1/2, of reach 2."""
    x = np.abs(distance)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x < 1.0, near, np.where(x < _REACH, far, 0.0))


def _precision(largest: float) -> int:
    """The most bits after the point with which the largest weight, rounded, fits into 16 with its sign."""
    bits = 0
    while bits < _MOST_PRECISE and int(0.5 + largest * (1 << (bits + 1))) < 1 << 15:
        bits += 1
    return bits
