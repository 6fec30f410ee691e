"""What every reader refuses about its files: images that are listed but absent, classes that no image shows."""

from collections.abc import Sequence
from pathlib import Path

from bissl_ray.data.spec import Label
from bissl_ray.errors import BadInputError


class AbsentImagesError(BadInputError):
    """Files that a dataset's lists name are absent; the message names the first of them.

    Attributes:
        absent: a line each, with the file and the list that names it.
        remaining: images that are there.
        remedy: what to do about it.
    """

    def __init__(self, absent: Sequence[str], remaining: Sequence[Path], remedy: str) -> None:
        more = f", and so are {len(absent) - 1:,} more" if len(absent) > 1 else ""
        super().__init__(f"{absent[0]}{more}; {remedy}")
        self.absent = absent
        self.remaining = remaining
        self.remedy = remedy

    def __reduce__(self) -> tuple[type, tuple[Sequence[str], Sequence[Path], str]]:
        # From a worker of the cluster to here; an exception pickles its message alone.
        return type(self), (self.absent, self.remaining, self.remedy)


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
