"""What a check of a dataset comes to."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bissl_ray.data.spec import DatasetSplits


class Finding(NamedTuple):
    """Something that a person should know about their data."""

    text: str
    """What, in a sentence without its full stop."""
    examples: Sequence[str] = ()
    """All that it is true of, a line each."""
    whole: bool = False
    """Whether all of them are to be read: each has to be mended by itself."""


@dataclass
class Findings:
    """What a check came to."""

    splits: DatasetSplits | None
    """None where images are absent, and the dataset can't be opened."""
    notes: list[Finding] = field(default_factory=list)
    """Worth knowing; nothing is wrong with the data."""
    problems: list[Finding] = field(default_factory=list)
    """Wrong with the data."""
    images: int = 0
    """How many different ones there are."""
    left_out: int = 0
    """How many images lie beside those that are used, and belong to no split."""
    opened: int | None = None
    """How many of them open; None: none was tried."""


def count_of(number: int, what: str, several: str | None = None) -> str:
    """Say how many there are: "1 image", "2 images"."""
    return f"{number:,} {what if number == 1 else several or what + 's'}"
