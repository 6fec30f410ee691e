"""What every reader refuses about classes, whatever files it reads them from."""

from collections.abc import Sequence
from pathlib import Path

from bissl_ray.data.spec import Label
from bissl_ray.errors import BadInputError


def missing_classes(labels: Sequence[Label], classes: int) -> list[int]:
    """The classes, in order, that none of these labels shows."""
    shown: set[int] = set()
    for label in labels:
        shown.update([label] if isinstance(label, int) else (c for c, seen in enumerate(label) if seen == 1))
    return [number for number in range(classes) if number not in shown]


def check_every_class(
    labels: Sequence[Label], classes: int, place: str | Path, names: Sequence[str] | None = None
) -> None:
    """Make sure that the training images show every class.

    Args:
        labels: of the training images.
        classes: how many there are.
        place: file or folder that the labels come from, for the error.
        names: of the classes; None: by number.

    Raises:
        BadInputError: a class has no training image.
    """
    missing = [str(c) if names is None else names[c] for c in missing_classes(labels, classes)]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise BadInputError(
            f"{place}: no training image shows class {', '.join(missing[:5])}{more}; put the complete files there"
        )
