"""What has happened to trials, and why, from one look at a sweep's rows to the next."""

from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from bissl_ray.leaderboard.configurations import finite
from bissl_ray.metrics import of_objective
from bissl_ray.store.schema import Row
from bissl_ray.words import Status, Step

_MOST: Final = 40
_TOLD: Final = (Status.FAILED, Status.PRUNED, Status.PAUSED)


class Entry(NamedTuple):
    """Something that happened.

    Attributes:
        what: in a word or two: "pruned", "goes on"; empty: the reason says all.
        why: the reason, in words.
        trial: its name; empty: it is of no trial.
        at: when; None: not known.
    """

    what: str
    why: str
    trial: str = ""
    at: datetime | None = None

    @property
    def line(self) -> str:
        """The same for a line of its own."""
        return ": ".join(filter(None, (f"{self.trial} {self.what}".strip(), self.why)))


class Log:
    """The last things that happened to the trials of one sweep.

    Attributes:
        entries: oldest first.
        best: after each explore trial that ran to its end, in the order of their ends: the best score so far.
    """

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque(maxlen=_MOST)
        self.best: list[float] = []
        self._known: dict[str, str] | None = None
        self._bests: set[str] = set()

    def note(self, line: str) -> None:
        """Take in something that is said of no row."""
        self.entries.append(Entry("", line))

    def look(self, trials: Sequence[Row]) -> list[Entry]:
        """Look at the rows of all trials.

        Returns:
            What is new since the last look, oldest first; at the first one nothing is.
        """
        best = _climbs(trials)
        self.best = [score for score, _ in best]
        first, known = self._known is None, self._known or {}
        self._known = {row["trial"]: row["status"] for row in trials}
        found = [entry for row in trials if (entry := _entry(row, known.get(row["trial"], "")))]
        for _, row in best:
            if row["trial"] not in self._bests:
                self._bests.add(row["trial"])
                found.append(_of_best(row))
        found.sort(key=lambda entry: "" if entry.at is None else entry.at.isoformat())
        self.entries.extend(found)
        return [] if first else found


_BEST: Final = "is the best so far"


def _entry(row: Row, before: str) -> Entry | None:
    """What the change of a row's status means; None where there is nothing to say, or it has not changed."""
    status, at = row["status"], row["ended_at"] or row["updated_at"]
    if status == Status.RUNNING and before == Status.PAUSED:
        return Entry("goes on", f"among the best after alternation {row['alternations'] or '?'}", row["trial"], at)
    if status not in _TOLD or status == before:
        return None
    return Entry(status, row["status_reason"] or "", row["trial"], at)


def _of_best(row: Row) -> Entry:
    score = of_objective(row["objective_name"]).score(row["objective"])
    return Entry(_BEST, score, row["trial"], row["ended_at"] or row["updated_at"])


def _climbs(trials: Sequence[Row]) -> list[tuple[float, Row]]:
    """The best score so far, and whose it is, after each explore trial that ran to its end."""
    ended = [
        row
        for row in trials
        if row["step"] == Step.SEARCH and row["status"] == Status.COMPLETE and finite(row["objective"]) is not None
    ]
    ended.sort(key=lambda row: (row["ended_at"] or row["updated_at"], row["trial"]))
    found: list[tuple[float, Row]] = []
    for row in ended:
        found.append((row["objective"], row) if not found or row["objective"] > found[-1][0] else found[-1])
    return found
