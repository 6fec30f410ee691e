"""What is found in a storage, and how it is counted."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

_MOST: Final = 12


class State(StrEnum):
    """What a finding means."""

    DAMAGED = "damaged"
    """Something is lost, or can't be trusted."""
    LEFT_OVER = "left over"
    """Of a process that ended in the middle; nobody needs it."""
    NOTE = "note"
    """As it may be."""


@dataclass(frozen=True)
class Finding:
    """Something worth a word.

    Attributes:
        state: what it means.
        what: is looked at: "results file", "rows", "document", "claim", "models", "file", "folder".
        place: its path, relative to the storage; of rows, SWEEP/TRIAL or the sweep.
        found: what is found, in words.
        kept: what is saved of it all the same, or what to do; "": nothing to say.
        removed: whether it has been removed.
    """

    state: State
    what: str
    place: str
    found: str
    kept: str = ""
    removed: bool = False


@dataclass
class Checkup:
    """A storage that has been looked at.

    Attributes:
        findings: the damaged first.
        checked: how many of what have been looked at, in the order in which that is said.
    """

    findings: list[Finding] = field(default_factory=list)
    checked: Counter[str] = field(default_factory=Counter)

    @property
    def damaged(self) -> bool:
        """Whether anything is."""
        return any(finding.state == State.DAMAGED for finding in self.findings)

    def of(self, state: State) -> Iterator[Finding]:
        """Those of a state."""
        return (finding for finding in self.findings if finding.state == state)


def listed(names: Sequence[str], joined: str = ", ", most: int = _MOST) -> str:
    """Names or short lines for a line: the first few, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return joined.join(names[:most]) + more
