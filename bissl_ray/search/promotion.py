"""Rungs at which explore trials pause, and which of those go on (issue 17).

ASHA as it was published (Li et al. 2020, "A system for massively parallel hyperparameter tuning", algorithm 2): a trial
pauses at every rung, and goes on when it is among the best of those that have come as far. The other form, which stops
a trial that is behind when it gets there, is `sweep/scheduler.py`.
"""

import heapq
import math
from bisect import bisect_left, insort

from bissl_ray.config.protocol import Protocol
from bissl_ray.search.brackets import Brackets
from bissl_ray.search.records import Record
from bissl_ray.words import Status

_Place = tuple[float, str]


class _Rung:
    """All that have come to one rung, and those of them that wait there."""

    def __init__(self) -> None:
        self.places: list[_Place] = []
        self.waiting: list[tuple[_Place, Record]] = []
        self.names: set[str] = set()


class Rungs:
    """Kept up to date with every trial that pauses or ends; no question takes longer with more of them."""

    def __init__(self, protocol: Protocol, alternations: int) -> None:
        """Lay out the rungs.

        Args:
            protocol: grace and reduction factor.
            alternations: of the longest trial that there may be.
        """
        self._factor, self._longest = protocol.reduction_factor, alternations
        self._brackets = Brackets(protocol, alternations)
        self._rungs = {
            (level, bracket): _Rung()
            for level in protocol.rungs(alternations)
            for bracket in range(self._brackets.count)
            if level in self._brackets.rungs(bracket)
        }

    def until(self, record: Record) -> int | None:
        """The alternation after which a trial pauses next; None: it goes on to its end."""
        at = max(record.curve, default=0)
        rungs = self._brackets.rungs(self._brackets.of(record.trial))
        return next((level for level in rungs if at < level < self._alternations(record)), None)

    def has_run(self, record: Record) -> None:
        """Enter a trial that has paused or ended into the rungs that it has come to."""
        at, own = max(record.curve, default=0), self._brackets.of(record.trial)
        for (level, bracket), rung in self._rungs.items():
            if bracket != own or level not in record.curve or level >= self._alternations(record):
                continue
            place = _place(record, level)
            if record.trial not in rung.names:
                rung.names.add(record.trial)
                insort(rung.places, place)
            if record.status == Status.PAUSED and level == at:
                heapq.heappush(rung.waiting, (place, record))

    def goes_on(self) -> Record | None:
        """The trial that is to go on next: from the highest rung that has one among its best."""
        for (level, _), rung in reversed(self._rungs.items()):
            first = self._first(level, rung)
            if first is not None and bisect_left(rung.places, first[0]) < len(rung.places) // self._factor:
                return first[1]
        return None

    def best_left(self) -> Record | None:
        """The best of the highest rung at which any trial waits, whether it is among a rung's best or not."""
        best: tuple[int, _Place, Record] | None = None
        for (level, _), rung in reversed(self._rungs.items()):
            first = self._first(level, rung)
            if first is not None and (best is None or (level == best[0] and first[0] < best[1])):
                best = level, *first
        return None if best is None else best[2]

    @staticmethod
    def _first(level: int, rung: _Rung) -> tuple[_Place, Record] | None:
        """The best that waits at a rung; those that have gone on since are forgotten."""
        while rung.waiting:
            record = rung.waiting[0][1]
            if record.status == Status.PAUSED and max(record.curve) == level:
                return rung.waiting[0]
            heapq.heappop(rung.waiting)
        return None

    def _alternations(self, record: Record) -> int:
        own = record.point.get("alternations", self._longest)
        return own if isinstance(own, int) else self._longest


def _place(record: Record, level: int) -> _Place:
    """The better, the smaller; a figure that is not a number comes last."""
    objective = record.curve[level]
    return -objective if math.isfinite(objective) else math.inf, record.trial
