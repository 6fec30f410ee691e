"""Scenes of digits on textured ground, drawn from a seed with whole numbers alone.

So the pixels, and what is fingerprinted of them, are the same on every machine and under every numpy: `RandomState` is
frozen for good (NEP 19), and nothing is rounded.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bissl_ray.data.sampling import derived_seed

SIDE: Final = 64
"""Of a scene, pixels."""

_Numbers = NDArray[np.int64]
_Box = tuple[int, int, int, int]

_DIGITS: Final = (2, 5)
_HEIGHT: Final = (12, 28)
_BRIGHTNESS: Final = (190, 255)
_STROKES: Final = 5
_PLACES: Final = 20
_MARGIN: Final = 1
_INKED: Final = 100
"""Of 256: from here on a pixel of an enlarged scan belongs to the digit."""


class Drawn(NamedTuple):
    """One scene.

    Attributes:
        pixels: uint8 (SIDE, SIDE), grey.
        inked: bool (SIDE, SIDE): what of it is a digit.
        scans: which scans it shows, in the order in which they were laid.
        boxes: int64 (n, 4): left, top, right, bottom of each one's inked pixels, the last two not included.
    """

    pixels: NDArray[np.uint8]
    inked: NDArray[np.bool_]
    scans: list[int]
    boxes: _Numbers


def draw_scenes(scans: _Numbers, count: int, *purpose: int | str) -> Iterator[Drawn]:
    """Draw scenes of 2 to 5 digits each; each scan occurs about as often as any other.

    Args:
        scans: (n, 8, 8), from 0, the ground, to 16.
        count: how many scenes.
        purpose: what they are for: the same gives the same scenes.
    """
    seed = derived_seed(*purpose)
    random = np.random.RandomState([seed & 0xFFFFFFFF, seed >> 32])
    # With a margin, so that a stroke at the edge of a scan ends as others do.
    framed = np.pad(scans, ((0, 0), (_MARGIN, _MARGIN), (_MARGIN, _MARGIN)))
    upcoming = _in_turn(len(scans), random)
    for ground in _grounds(count, random):
        wanted = _between(random, *_DIGITS)
        yield _scene(ground, framed, [next(upcoming) for _ in range(wanted)], random)


def _between(random: np.random.RandomState, low: int, high: int) -> int:
    return int(random.randint(low, high + 1, dtype=np.int64))


def _in_turn(count: int, random: np.random.RandomState) -> Iterator[int]:
    """All numbers below `count` in a random order, again and again."""
    while True:
        yield from random.permutation(count).tolist()


def _scene(ground: _Numbers, scans: _Numbers, wanted: Sequence[int], random: np.random.RandomState) -> Drawn:
    inked = np.zeros((SIDE, SIDE), np.bool_)
    shown: list[int] = []
    boxes: list[_Box] = []
    for number in wanted:
        laid = _laid(scans[number], boxes, random)
        if laid is None:
            continue
        opacity, box = laid
        left, top, right, bottom = box
        under = ground[top:bottom, left:right]
        under += (_between(random, *_BRIGHTNESS) - under) * opacity // 256
        inked[top:bottom, left:right] |= opacity > 0
        shown.append(number)
        boxes.append(box)
    return Drawn(ground.astype(np.uint8), inked, shown, np.array(boxes, np.int64))


def _laid(scan: _Numbers, boxes: Sequence[_Box], random: np.random.RandomState) -> tuple[_Numbers, _Box] | None:
    """A digit's opacity and where it has room, smaller where there is little; None: there is none."""
    low, high = _HEIGHT
    drawn = _between(random, low, high)
    for side in (drawn, (drawn + low) // 2, low):
        opacity = _opacity(scan, side)
        height, width = opacity.shape
        places = random.randint(0, [SIDE - width + 1, SIDE - height + 1], (_PLACES, 2), dtype=np.int64)
        for left, top in places.tolist():
            box = (left, top, left + width, top + height)
            if all(_apart(box, other) for other in boxes):
                return opacity, box
    return None


def _apart(one: _Box, other: _Box) -> bool:
    """Whether two boxes share at most a tenth of the smaller."""
    shared = [min(one[end], other[end]) - max(one[start], other[start]) for start, end in ((0, 2), (1, 3))]
    areas = ((right - left) * (bottom - top) for left, top, right, bottom in (one, other))
    return min(shared) <= 0 or 10 * shared[0] * shared[1] <= min(areas)


def _opacity(scan: _Numbers, side: int) -> _Numbers:
    """A scan enlarged until it has this side, less its margin, and cut to its ink; of 256, 0 where no ink is."""
    enlarged = _enlarged(scan, side * len(scan) // (len(scan) - 2 * _MARGIN)) * 16
    opacity = np.minimum(enlarged * 5 // 4, 256)
    opacity[enlarged < _INKED] = 0
    (top, *_, bottom), (left, *_, right) = (np.flatnonzero(opacity.max(axis=axis)) for axis in (1, 0))
    return opacity[top : bottom + 1, left : right + 1]


def _enlarged(grids: _Numbers, size: int) -> _Numbers:
    """Square grids (..., k, k), linearly between the middles of their cells, to (..., size, size); rounded down."""
    weights = _weights(grids.shape[-1], size)
    whole: _Numbers = weights @ grids @ weights.T // (2 * size) ** 2
    return whole


@lru_cache
def _weights(cells: int, size: int) -> _Numbers:
    """What each of `cells` counts at each of `size` places, int64 (size, cells), in parts of 2 * size."""
    weights = np.zeros((size, cells), np.int64)
    for place in range(size):
        cell, part = divmod(max(0, (2 * place + 1) * cells - size), 2 * size)
        weights[place, cell] += 2 * size - part
        weights[place, min(cell + 1, cells - 1)] += part
    return weights


def _grounds(count: int, random: np.random.RandomState) -> _Numbers:
    """Clouds, fine and coarse, with strokes that are no digits and grain, int64 (count, SIDE, SIDE) in 0 .. 255."""

    def numbers(high: int, *shape: int) -> _Numbers:
        drawn: _Numbers = random.randint(0, high, (count, *shape), dtype=np.int64)
        return drawn

    grounds = _enlarged(numbers(90, 4, 4), SIDE) + _enlarged(numbers(50, 13, 13), SIDE)
    _add_strokes(grounds, numbers(SIDE + 16, _STROKES, 3, 2) - 8, numbers(80, _STROKES) + 60)
    grain = np.frombuffer(random.bytes(grounds.size), np.uint8).reshape(grounds.shape)
    textured: _Numbers = np.clip(grounds + grain % 25 - 12, 0, 255)
    return textured


def _add_strokes(grounds: _Numbers, bends: _Numbers, brightness: _Numbers) -> None:
    """Draw quadratic curves, two pixels wide.

    Args:
        grounds: drawn into, (n, SIDE, SIDE).
        bends: begin, control point and end of each, (n, strokes, 3, 2); where they leave the scene, they aren't drawn.
        brightness: of each, (n, strokes).
    """
    steps = np.arange(SIDE + 1)
    shares = np.stack([(SIDE - steps) ** 2, 2 * steps * (SIDE - steps), steps**2], axis=1)
    points = shares @ bends // SIDE**2
    scene, stroke = np.arange(len(grounds))[:, None, None], np.arange(brightness.shape[1])[:, None]
    for right, down in ((0, 0), (1, 0), (0, 1), (1, 1)):
        x, y = points[..., 0] + right, points[..., 1] + down
        inside = (x >= 0) & (x < SIDE) & (y >= 0) & (y < SIDE)
        places: Any = tuple(np.broadcast_to(of, x.shape)[inside] for of in (scene, y, x))
        np.maximum.at(grounds, places, np.broadcast_to(brightness[scene, stroke], x.shape)[inside])
