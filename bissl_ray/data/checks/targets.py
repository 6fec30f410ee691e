"""Targets looked at as a whole, before anything starts: every one fits the dataset's task and classes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bissl_ray.data.spec import UNCERTAIN, DatasetSpec, DatasetSplits, Labelled, Target
from bissl_ray.errors import BadInputError

LABELLED: Final = ("train", "validation", "test")


def check_targets(splits: DatasetSplits, spec: DatasetSpec) -> None:
    """Refuse splits without images, and targets that training or scoring would trip over; no image is decoded.

    Args:
        splits: as the dataset's reader gives them.
        spec: the dataset's facts; its own `check` or, for classification and multi_label, that of this module is made.

    Raises:
        BadInputError: a split is empty, or as the check raises.
    """
    for name in LABELLED:
        if not len(getattr(splits, name)):
            counts = ", ".join(f"{len(getattr(splits, name))} {name}" for name in LABELLED)
            raise BadInputError(
                f"{spec.title} ('{spec.name}') leaves no image for {name}: {counts}; expected at least one in each, so "
                "give more images, or other index files with --splits-dir"
            )
    if spec.check is not None:
        spec.check(splits, spec)
    elif spec.task in LABELS:
        _check_labels(splits, spec)


@dataclass(frozen=True)
class _Form:
    """What labels are like.

    Attributes:
        fits: whether a label is one of a task with so many classes.
        words: the same, for a person.
        shown: whether a label names any class at all.
    """

    fits: Callable[[Target, int], bool]
    words: str
    shown: Callable[[Target], bool]


def _is_class(label: Target, classes: int) -> bool:
    return isinstance(label, int) and 0 <= label < classes


def _is_number_per_class(label: Target, classes: int) -> bool:
    return isinstance(label, tuple) and len(label) == classes and set(label) <= {0, 1, UNCERTAIN}


LABELS: Final = {
    "classification": _Form(_is_class, "{0} classes, 0 to {1}", lambda _: True),
    "multi_label": _Form(
        _is_number_per_class,
        "{0} classes and each image a number for each: 1 shown, 0 not, -1 not counted",
        lambda label: 1 in label,
    ),
}
"""The tasks whose targets name classes."""

DETECTION: Final = "detection"
"""The task whose targets are objects, each of a class."""


def _check_labels(splits: DatasetSplits, spec: DatasetSpec) -> None:
    """Refuse labels of another form than the task's or of no class, and a split whose images show none at all."""
    form, classes = LABELS[spec.task], splits.classes
    if classes is None:
        raise BadInputError(f"{spec.title} ('{spec.name}') tells no classes, which the task {spec.task} needs")
    for name in LABELLED:
        part: Labelled = getattr(splits, name)
        place = next((place for place, label in enumerate(part.targets) if not form.fits(label, classes)), None)
        if place is not None:
            raise BadInputError(
                f"{part.name(place)}: its label is {part.targets[place]!r}, but {spec.title} has "
                f"{form.words.format(classes, classes - 1)}; correct its annotation or leave the image out"
            )
        if not any(map(form.shown, part.targets)):
            raise BadInputError(
                f"{spec.title} ('{spec.name}'): none of its {len(part)} {name} images shows any class, so that they "
                "can't be scored; check the annotations"
            )
