"""Images that are listed but absent."""

from collections.abc import Sequence
from pathlib import Path

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
