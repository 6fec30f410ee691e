"""Colours and blur of one uint8 image, in place, compiled by numba for the CPU it runs on.

Each operation rounds as torchvision's on uint8 tensors: float32, in which torch fuses a multiplication with the
addition after it (`_plus`), then towards zero. Loops are written so that the compiler makes vectors of them: no branch
by pixel. Arrays are (3, pixels) or (3, height, width).
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import float32, float64, int32, int64, uint8

_PIXELS = uint8[:, ::1]


def _compiled(*signature: Any) -> Callable[[Any], Any]:
    """Compile now, or take what was compiled before from the disk where numba finds a place for it."""

    def compile_it(function: Any) -> Any:
        try:
            return numba.njit(signature, cache=True, nogil=True, error_model="numpy")(function)
        except RuntimeError:  # there is no folder that it may write to
            return numba.njit(signature, nogil=True, error_model="numpy")(function)

    return compile_it


@numba.njit(inline="always")
def _plus(a, b, factor):
    """A + b · factor, rounded once to float32: in double precision the product is exact."""
    return float32(float64(a) + float64(b) * float64(factor))


@numba.njit(inline="always")
def _blended(value, other, ratio, rest):
    mixed = _plus(float32(float32(value) * ratio), other, rest)
    return uint8(min(max(mixed, float32(0)), float32(255)))


@numba.njit(inline="always")
def _luma(r, g, b):
    """Brightness of a colour as torchvision weighs it, not rounded."""
    return _plus(_plus(float32(float32(r) * float32(0.2989)), g, float32(0.587)), b, float32(0.114))


@numba.njit(inline="always")
def _turned(r8, g8, b8, turn):
    """A colour with its hue turned: to hue, saturation and value, and back."""
    one, zero, scale = float32(1), float32(0), float32(1 / 255)
    r, g, b = float32(r8) * scale, float32(g8) * scale, float32(b8) * scale
    most, least = max(r, max(g, b)), min(r, min(g, b))
    flat = most == least
    s = (most - least) / (one if flat else most)
    divisor = one if flat else most - least
    rc, gc, bc = (most - r) / divisor, (most - g) / divisor, (most - b) / divisor
    h = bc - gc if most == r else (rc + float32(2) - bc if most == g else gc + float32(4) - rc)
    h = h * float32(1 / 6) + one
    h = h - one if h >= one else h
    h = h + turn
    h = h + one if h < zero else (h - one if h >= one else h)
    h6 = h * float32(6)
    sixth = int32(h6)
    sf, pale = s * (h6 - float32(sixth)), one - s
    q = min(max((one - sf) * most, zero), one)
    t = min(max((sf + pale) * most, zero), one)
    p = min(max(pale * most, zero), one)
    sixth = int32(0) if sixth == 6 else sixth
    r = most if (sixth == 0) | (sixth == 5) else (q if sixth == 1 else (t if sixth == 4 else p))
    g = most if (sixth == 1) | (sixth == 2) else (t if sixth == 0 else (q if sixth == 3 else p))
    b = most if (sixth == 3) | (sixth == 4) else (t if sixth == 2 else (q if sixth == 5 else p))
    # Torchvision's way to uint8: the greatest float below 256 for 1.
    top = float32(255.999)
    return uint8(r * top), uint8(g * top), uint8(b * top)


@_compiled(_PIXELS, float32)
def brighten(image, factor):
    """Multiply all values."""
    for c in range(3):
        channel = image[c]
        for i in range(channel.shape[0]):
            channel[i] = uint8(min(float32(channel[i]) * factor, float32(255)))


@_compiled(_PIXELS, float32, float32)
def contrast(image, factor, rest):
    """Move all values away from the image's mean brightness, or towards it; rest is 1 − factor."""
    R, G, B = image[0], image[1], image[2]
    total = int64(0)
    for i in range(R.shape[0]):
        total += int32(_luma(R[i], G[i], B[i]))
    mean = float32(total) / float32(R.shape[0])
    for c in range(3):
        channel = image[c]
        for i in range(channel.shape[0]):
            channel[i] = _blended(channel[i], mean, factor, rest)


@_compiled(_PIXELS, float32, float32)
def saturate(image, factor, rest):
    """Move each colour away from its own grey, or towards it; rest is 1 − factor."""
    R, G, B = image[0], image[1], image[2]
    for i in range(R.shape[0]):
        grey = float32(int32(_luma(R[i], G[i], B[i])))
        R[i] = _blended(R[i], grey, factor, rest)
        G[i] = _blended(G[i], grey, factor, rest)
        B[i] = _blended(B[i], grey, factor, rest)


@_compiled(_PIXELS, float32)
def turn_hue(image, turn):
    """Turn all hues, by less than half a turn."""
    R, G, B = image[0], image[1], image[2]
    for i in range(R.shape[0]):
        R[i], G[i], B[i] = _turned(R[i], G[i], B[i], turn)


@_compiled(_PIXELS)
def to_grey(image):
    """Take the colour out."""
    R, G, B = image[0], image[1], image[2]
    for i in range(R.shape[0]):
        R[i] = G[i] = B[i] = uint8(_luma(R[i], G[i], B[i]))


@_compiled(_PIXELS)
def solarise(image):
    """Invert values from 128 on."""
    for c in range(3):
        channel = image[c]
        for i in range(channel.shape[0]):
            channel[i] = uint8(255 - channel[i]) if channel[i] >= 128 else channel[i]


@_compiled(uint8[:, :, ::1], float32[::1])
def blur(image, taps):
    """Blur along both axes, the image mirrored at its edges."""
    height, width = image.shape[1], image.shape[2]
    count, reach = taps.shape[0], taps.shape[0] // 2
    wide = np.empty((height, width + 2 * reach), np.float32)
    tall = np.empty((height + 2 * reach, width), np.float32)
    total = np.empty(width, np.float32)
    for c in range(3):
        for y in range(height):
            for x in range(width):
                wide[y, x + reach] = float32(image[c, y, x])
            for x in range(reach):
                wide[y, reach - 1 - x] = float32(image[c, y, x + 1])
                wide[y, width + reach + x] = float32(image[c, y, width - 2 - x])
        for y in range(height):
            total[:] = float32(0)
            for j in range(count):
                for x in range(width):
                    total[x] += taps[j] * wide[y, x + j]
            for x in range(width):
                tall[y + reach, x] = total[x]
        for y in range(reach):
            for x in range(width):
                tall[reach - 1 - y, x] = tall[reach + 1 + y, x]
                tall[height + reach + y, x] = tall[height + reach - 2 - y, x]
        for y in range(height):
            total[:] = float32(0)
            for j in range(count):
                for x in range(width):
                    total[x] += taps[j] * tall[y + j, x]
            for x in range(width):
                image[c, y, x] = uint8(np.rint(total[x]))
