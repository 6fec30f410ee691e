"""Labels looked at as a whole, before anything starts: every one fits the dataset's task and classes."""

from bissl_ray.data.spec import UNCERTAIN, DatasetSpec, DatasetSplits, ImageSource, Label
from bissl_ray.errors import BadInputError

_LABELLED = ("train", "validation", "test")


def check_labels(splits: DatasetSplits, spec: DatasetSpec) -> None:
    """Refuse labels that training or scoring would trip over; no image is decoded.

    Args:
        splits: as the dataset's reader gives them.
        spec: the dataset's facts.

    Raises:
        BadInputError: a split is empty, a label has another form than the task's or names a class that there isn't, or
            a split of images that show several classes shows none at all.
    """
    for name in _LABELLED:
        source: ImageSource = getattr(splits, name)
        if not len(source):
            raise BadInputError(
                f"{spec.title} ('{spec.name}') leaves no image for {name}: {_counts(splits)}; expected at least one in "
                "each, so give more images, or other index files with --splits-dir"
            )
        wrong = {label for label in set(source.labels) if not _fits(label, splits.classes, spec.task)}
        if wrong:
            place = next(place for place, label in enumerate(source.labels) if label in wrong)
            raise BadInputError(
                f"{source.name(place)}: its label is {source.labels[place]!r}, but {_expected(splits.classes, spec)}; "
                f"correct its annotation or leave the image out"
            )
        if spec.task == "multi_label" and not any(isinstance(label, tuple) and 1 in label for label in source.labels):
            raise BadInputError(
                f"{spec.title} ('{spec.name}'): none of its {len(source)} {name} images shows any class, so that they "
                "can't be scored; check the annotations"
            )


def _counts(splits: DatasetSplits) -> str:
    return ", ".join(f"{len(getattr(splits, name))} {name}" for name in _LABELLED)


def _fits(label: Label, classes: int, task: str) -> bool:
    if task == "multi_label":
        return isinstance(label, tuple) and len(label) == classes and set(label) <= {0, 1, UNCERTAIN}
    return not isinstance(label, tuple) and 0 <= label < classes


def _expected(classes: int, spec: DatasetSpec) -> str:
    if spec.task == "multi_label":
        return f"{spec.title} has {classes} classes and each image a number for each: 1 shown, 0 not, -1 not counted"
    return f"{spec.title} has {classes} classes, 0 to {classes - 1}"
