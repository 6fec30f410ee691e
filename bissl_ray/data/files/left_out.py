"""Images and annotations that belong to a dataset and can't be used: none is left out unsaid."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from bissl_ray.data.files.formats import Unread
from bissl_ray.errors import BadInputError


class LeftOutError(BadInputError):
    """Images that belong to a dataset are absent or can't be read; the message names the first of them.

    Attributes:
        what: they are, of several: "files named in the lists but absent".
        lines: one each, with the file and what is wrong with it.
        remaining: images that are there.
        remedy: what to do about it.
    """

    def __init__(self, what: str, lines: Sequence[str], remaining: Sequence[Path], remedy: str) -> None:
        super().__init__(_message(lines, remedy))
        self.what = what
        self.lines = lines
        self.remaining = remaining
        self.remedy = remedy

    def __reduce__(self) -> tuple[type, tuple[str, Sequence[str], Sequence[Path], str]]:
        # From a worker of the cluster to here; an exception pickles its message alone.
        return type(self), (self.what, self.lines, self.remaining, self.remedy)


def _message(lines: Sequence[str], remedy: str) -> str:
    more = f", and so are {len(lines) - 1:,} more" if len(lines) > 1 else ""
    return f"{lines[0]}{more}; {remedy}"


def absent_images(lines: Sequence[str], remaining: Sequence[Path], remedy: str) -> LeftOutError:
    """Files that a dataset's lists name are absent; arguments as of `LeftOutError`."""
    return LeftOutError("named in the lists but absent", lines, list(remaining), remedy)


def refuse_unread(unread: Sequence[tuple[Path, Unread]], remaining: Iterable[Path]) -> None:
    """Leave no image out unsaid.

    Args:
        unread: files that can't be read as images, and why.
        remaining: those that can.

    Raises:
        LeftOutError: there are such.
    """
    if unread:
        lines = [f"{path}: {why.reason}" for path, why in unread]
        remedy = "; ".join(dict.fromkeys(why.remedy for _, why in unread))
        raise LeftOutError("that can't be read as images", lines, list(remaining), remedy)


class AnnotationsError(BadInputError):
    """Annotations can't be used; the message names the first of them.

    Attributes:
        lines: one for each fault, with the file and what is wrong there.
        remedy: what to do about it.
    """

    def __init__(self, lines: Sequence[str], remedy: str) -> None:
        more = f", and {len(lines) - 1:,} more in the annotations" if len(lines) > 1 else ""
        super().__init__(f"{lines[0]}{more}; {remedy}")
        self.lines = lines
        self.remedy = remedy

    def __reduce__(self) -> tuple[type, tuple[Sequence[str], str]]:
        # As of `LeftOutError`.
        return type(self), (self.lines, self.remedy)


def refuse_annotations(lines: Sequence[str], remedy: str) -> None:
    """Use no annotation that is wrong, and tell of all of them at once.

    Args:
        lines: what is wrong, with its file; empty: nothing.
        remedy: what to do about it.

    Raises:
        AnnotationsError: there are such.
    """
    if lines:
        raise AnnotationsError(lines, remedy)
