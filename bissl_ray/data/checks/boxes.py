"""What the objects of a dataset of the task detection come to: how many there are, and whether the images fit them."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bissl_ray.data.checks.findings import Finding, count_of
from bissl_ray.data.checks.images import Examined
from bissl_ray.data.checks.targets import LABELLED
from bissl_ray.data.objects import ObjectsOfImages
from bissl_ray.data.spec import DatasetSplits, Labelled


class ObjectCounts(NamedTuple):
    """The objects of one split, crowds aside."""

    by_class: NDArray[np.int64]
    without: int
    """Images that show none."""


def object_counts(splits: DatasetSplits) -> dict[str, ObjectCounts]:
    """Count the objects of each split whose targets are objects; empty for another task."""
    counted = {}
    for split in LABELLED:
        targets = getattr(splits, split).targets
        if isinstance(targets, ObjectsOfImages):
            without = int((targets.per_image() == 0).sum())
            counted[split] = ObjectCounts(targets.shown(splits.classes or 0), without)
    return counted


def unlike_files(splits: DatasetSplits, examined: Sequence[Examined]) -> Iterator[Finding]:
    """Images whose files are of another size than the one that their boxes were drawn in."""
    shown = {image.name: image.size for image in examined if image.size is not None}
    unlike = []
    for split in LABELLED:
        part: Labelled = getattr(splits, split)
        if not isinstance(part.targets, ObjectsOfImages):
            continue
        for index, (height, width) in enumerate(part.targets.sides().tolist()):
            name = part.name(index)
            if shown.get(name, (width, height)) != (width, height):
                found = " x ".join(map(str, shown[name]))
                unlike.append(f"{name}: annotated as {width} x {height}, the file shows {found}")
    if unlike:
        yield Finding(
            f"{count_of(len(unlike), 'image')} annotated in another size than the file's; give --set "
            "exif_orientation=false if the boxes belong to the unturned image, else correct the annotations",
            unlike,
        )
