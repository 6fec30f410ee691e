"""The digits as images that show several classes at once: even, above four, with a loop, and some left uncertain."""

from dataclasses import replace
from typing import Any

from bissl_ray.data import DatasetSplits, Labelled
from bissl_ray.data.datasets import digits
from bissl_ray.data.spec import UNCERTAIN

CLASSES = 4


def label_of(digit: int) -> tuple[int, ...]:
    """Even, above four, with a loop (of a 4 it doesn't count), and a 9."""
    loop = UNCERTAIN if digit == 4 else int(digit in (0, 6, 8, 9))
    return (int(digit % 2 == 0), int(digit > 4), loop, int(digit == 9))


def _several(part: Labelled) -> Labelled:
    return Labelled(part.images, [label_of(label) for label in part.targets])


def read(folder: Any, choice: Any) -> DatasetSplits:
    """The digits' own splits with these labels."""
    splits = digits.SPEC.reader(folder, choice)
    labelled = {name: _several(getattr(splits, name)) for name in ("train", "validation", "test")}
    return replace(splits, **labelled, classes=CLASSES)


SPEC = replace(
    digits.SPEC,
    name="attributes",
    title="Attributes",
    classes=CLASSES,
    metric="map11",
    task="multi_label",
    reader=read,
)
