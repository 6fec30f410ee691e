"""Which parts of the view a terminal has lines for, and how many each gets."""

from collections.abc import Sequence
from typing import NamedTuple


class Wants(NamedTuple):
    """What a part asks for.

    Attributes:
        least: lines below which it is left out.
        most: lines that it can use.
    """

    least: int
    most: int


def allotted(lines: int, parts: Sequence[Wants]) -> list[int]:
    """Share lines among parts.

    Args:
        lines: that there are.
        parts: the most important first: each gets its least as long as there are as many, then what it can use.

    Returns:
        Lines of each; 0: it is left out.
    """
    given = []
    for part in parts:
        fits = 0 < part.least <= lines
        given.append(part.least if fits else 0)
        lines -= given[-1]
    for place, part in enumerate(parts):
        more = min(lines, part.most - given[place]) if given[place] else 0
        given[place] += max(more, 0)
        lines -= max(more, 0)
    return given
