"""A case: what is on the command line and in the folder, and how it ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

SECRET = "SECRETfuzz7"
"""Stands in every password and token; nothing that is printed or written may hold it."""


@dataclass(frozen=True)
class Case:
    """What a person, a disk or an enemy made.

    Attributes:
        argv: after `bissl-ray`.
        files: content by path, relative to the case's folder.
        storage: whether that folder holds the storage of release 0.1 as `runs`, in whose place `files` then come.
        environment: variables beside those that there are.
        may_write: whether files may come of it that were not there before; nothing else may change.
    """

    argv: tuple[str, ...]
    files: Mapping[str, bytes] = field(default_factory=dict)
    storage: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    may_write: bool = False


class Ending(NamedTuple):
    """How a case ended."""

    outcome: str
    """done, failed, refused (by exit code), or "would start"; "" for a fault."""
    fault: str = ""
    """What is wrong, and where: alike for cases of one kind."""
    said: str = ""
    """Standard error, or the traceback."""


def random_of(kind: str, seed: int, number: int) -> Random:
    """What a case is drawn from: the same for the same arguments, on any machine."""
    return Random(f"{kind}:{seed}:{number}")
