"""All trials of a sweep, with what is asked of them kept up to date: no question takes longer with more trials."""

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable

from bissl_ray.search.records import Record
from bissl_ray.winner import Contender, front_first, place
from bissl_ray.words import Phase, Status, Step


class Ledger:
    """The records of a sweep, in the order in which they were proposed.

    Attributes:
        records: by name.
        open: those that run, or did when the sweep was interrupted, by name.
        paused: those that wait at a rung, by name.
        ended: how many have ended, by how.
    """

    def __init__(self, records: Iterable[Record], taken: Collection[str] = ()) -> None:
        """Take up what has run before; names that are `taken` no new trial gets."""
        self.records: dict[str, Record] = {}
        self.open: dict[str, Record] = {}
        self.paused: dict[str, Record] = {}
        self.ended: Counter[Status] = Counter()
        self._of: defaultdict[tuple[Phase, Step], list[Record]] = defaultdict(list)
        self.to_the_end = 0
        """Explore trials that ran to their end."""
        self._best: Record | None = None
        self._unnamed, self._taken = 0, taken
        for record in records:
            self.add(record)

    def add(self, record: Record) -> None:
        """Enter a trial; once more, and nothing happens."""
        if record.trial in self.records:
            return
        self.records[record.trial] = record
        self._of[record.phase, record.step].append(record)
        self.open[record.trial] = record
        self.has_run(record)

    def has_run(self, record: Record) -> None:
        """Look at how a trial stands after it has run: it has ended, has paused, or is to go on."""
        if record.status == Status.PAUSED:
            self.open.pop(record.trial, None)
            self.paused[record.trial] = record
        elif record.ended and (record.trial in self.open or record.trial in self.paused):
            self.open.pop(record.trial, None)
            self.paused.pop(record.trial, None)
            self.ended[record.status] += 1
            if record.step == Step.SEARCH and record.scored:
                self.to_the_end += 1
                self._best = record if self._best is None else min(self._best, record, key=_place)

    def goes_on(self, record: Record) -> None:
        """Let a paused trial run again."""
        record.status = Status.RUNNING
        self.open[record.trial] = self.paused.pop(record.trial)

    def of(self, phase: Phase, step: Step) -> list[Record]:
        """The trials of a step, in the order in which they were proposed; not to be changed."""
        return self._of[phase, step]

    def still_open(self, phase: Phase) -> bool:
        """Whether a trial of this phase runs, or did when the sweep was interrupted."""
        return any(record.phase == phase for record in self.open.values())

    def best(self, count: int) -> list[Record]:
        """The best explore trials that ran to their end."""
        return sorted((record for record in self.of(Phase.EXPLORE, Step.SEARCH) if record.scored), key=_place)[:count]

    def front(self, count: int) -> list[Record]:
        """The best of the explore trials that no other beats in both score and seconds; then the best of the others."""
        ordered = self.best(len(self.of(Phase.EXPLORE, Step.SEARCH)))
        return front_first(ordered, [(record.objective or 0.0, _seconds(record)) for record in ordered])[:count]

    @property
    def incumbent(self) -> Record | None:
        """The best of them so far; None before there is one."""
        return self._best

    def without_a_better(self, most: int) -> int:
        """How many explore trials that were proposed after the best one have ended, or paused, without beating it.

        Those that failed tell nothing. 0 before there is a best one.

        Args:
            most: counting ends there.
        """
        found = 0
        for record in reversed(self.of(Phase.EXPLORE, Step.SEARCH) if self._best is not None else []):
            if record is self._best or found == most:
                break
            found += record.status in (Status.COMPLETE, Status.PRUNED, Status.PAUSED)
        return found

    def new_name(self) -> str:
        """The first explore trial's name that is not taken."""
        # Not simply their number: of trials proposed together, a crash may have kept a later one only.
        while (name := f"t{self._unnamed:03d}") in self.records or name in self._taken:
            self._unnamed += 1
        return name


def _seconds(record: Record) -> float:
    return math.inf if record.seconds is None else record.seconds


def _place(record: Record) -> tuple[int, int, float, str]:
    return place(Contender(record.trial, explored=record.objective))
