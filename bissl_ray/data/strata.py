"""Splits of images that show several classes each: every class in proportion to its size."""

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
    first, each image goes to the side that lacks more of this class. Images that show nothing are a class of their own.
    No class is emptied, even if fewer than `held_out` images are then held out.

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
    sides = _Sides({stratum: len(images) for stratum, images in members.items()}, len(strata), held_out)
    is_held = np.zeros(len(strata), dtype=bool)
    decided = bytearray(len(strata))
    while sides.undecided:
        rarest = min(sides.undecided, key=lambda stratum: (sides.undecided[stratum], stratum))
        for image in members[rarest]:
            if not decided[image]:
                decided[image] = True
                is_held[image] = sides.decide(rarest, strata[image])
    return np.flatnonzero(~is_held), np.flatnonzero(is_held)


class _Sides:
    """What each side lacks yet; whole numbers, so that every machine decides alike.

    Attributes:
        undecided: images of each stratum that neither side has; without those of none.
    """

    def __init__(self, sizes: dict[int, int], images: int, held_out: int) -> None:
        self.undecided = dict(sizes)
        self._images = images
        # In units of 1 / images.
        self._lacks = [
            {stratum: size * share for stratum, size in sizes.items()} for share in (images - held_out, held_out)
        ]
        self._room = [images - held_out, held_out]
        self._kept = dict.fromkeys(sizes, 0)

    def decide(self, stratum: int, strata: Sequence[int]) -> bool:
        """Give an image of these strata to a side, as `stratum` demands: whether it is held out."""
        held = self._is_for_held(stratum) and not any(self._kept[s] == 0 and self.undecided[s] == 1 for s in strata)
        self._room[held] -= 1
        for other in strata:
            self._lacks[held][other] -= self._images
            self._kept[other] += not held
            self.undecided[other] -= 1
            if not self.undecided[other]:
                del self.undecided[other]
        return held

    def _is_for_held(self, stratum: int) -> bool:
        if min(self._room) <= 0:
            return self._room[True] > 0
        kept, held = ((lacks[stratum], room) for lacks, room in zip(self._lacks, self._room, strict=True))
        return held > kept
