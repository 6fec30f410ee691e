"""Splits of images that show several classes each: every class in proportion to its size."""

import math
from collections.abc import Sequence

import numpy as np

from bissl_ray.data.objects import Objects
from bissl_ray.data.sampling import permutation
from bissl_ray.data.splits import Indices

_NOTHING = -1
"""The stratum of images that show no class."""


def shown_classes(objects: Objects) -> list[int]:
    """The classes, ascending, that an image shows an object of; not of crowds, which nothing is learnt from."""
    return sorted(set(objects.classes[~objects.crowd].tolist()))


def iterative_split(shown: Sequence[Sequence[int]], held_out: int, seed: int, purpose: str) -> tuple[Indices, Indices]:
    """Hold out some images, of each class nearly in proportion to its size.

    Iterative stratification (Sechidis, Tsoumakas, Vlahavas 2011): class by class, that of the fewest undecided images
    first. Other than there, all classes of an image are heard about its side and not the rarest alone, which comes
    nearer to the shares of common classes where exactly `held_out` images are asked for. Images that show nothing are a
    class of their own. No class is emptied, even if fewer than `held_out` images are then held out.

    Args:
        shown: of each image, the classes that it shows, once each.
        held_out: how many images to hold out.
        seed: which of the possible splits.
        purpose: name of the split, so that two splits under one seed are independent.

    Returns:
        Indices kept and indices held out, each ascending.
    """
    strata = [tuple(classes) or (_NOTHING,) for classes in shown]
    members: dict[int, list[int]] = {}
    for image in permutation(len(strata), seed, purpose).tolist():
        for stratum in strata[image]:
            members.setdefault(stratum, []).append(image)
    drawing = _Drawing({stratum: len(images) for stratum, images in members.items()}, len(strata), held_out)
    is_held = np.zeros(len(strata), dtype=bool)
    decided = bytearray(len(strata))
    while drawing.undecided:
        rarest = min(drawing.undecided, key=lambda stratum: (drawing.undecided[stratum], stratum))
        for image in members[rarest]:
            if not decided[image]:
                decided[image] = True
                is_held[image] = drawing.hold_out(strata[image])
    return np.flatnonzero(~is_held), np.flatnonzero(is_held)


class _Drawing:
    """What has been held out so far.

    Attributes:
        undecided: how many images of each stratum are; strata of which none is are left out.
    """

    def __init__(self, sizes: dict[int, int], images: int, held_out: int) -> None:
        self.undecided = dict(sizes)
        self._sizes = sizes
        self._share = held_out / images
        self._room = [images - held_out, held_out]
        self._held = dict.fromkeys(sizes, 0)

    def hold_out(self, strata: Sequence[int]) -> bool:
        """Decide about an image of these strata."""
        held = self._is_wanted(strata) and not any(self._would_empty(stratum) for stratum in strata)
        self._room[held] -= 1
        for stratum in strata:
            self._held[stratum] += held
            self.undecided[stratum] -= 1
            if not self.undecided[stratum]:
                del self.undecided[stratum]
        return held

    def _is_wanted(self, strata: Sequence[int]) -> bool:
        if min(self._room) <= 0:
            return self._room[True] > 0
        # Not `sum`, which rounds otherwise from Python 3.12 on.
        return math.fsum(map(self._lack, strata)) > 0

    def _lack(self, stratum: int) -> float:
        """How far what is held out stays behind its share, once another is decided; of one to be rounded, per image."""
        size = self._sizes[stratum]
        decided = size - self.undecided[stratum] + 1
        return (self._share * decided - self._held[stratum] - 0.5) / size

    def _would_empty(self, stratum: int) -> bool:
        return self.undecided[stratum] == 1 and self._held[stratum] == self._sizes[stratum] - 1
