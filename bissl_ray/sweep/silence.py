"""Which runs have said nothing for so long that they must have hung, by what others of their kind took.

Learned are the times from one report to the next, or from the start to the first. Any word of a run says that it is
alive; reports alone say what is usual. The time that this process itself stood still counts for nobody.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bissl_ray.config.protocol import Protocol
from bissl_ray.leaderboard.numbers import duration
from bissl_ray.search.plans import RunKind
from bissl_ray.world import world

_STEP_S: Final = 5.0
"""A driver looks several times a second; where it did not for longer, it was stopped, or its machine slept."""
_UNKNOWN_S: Final = 24 * 3600.0
"""Silence after which a run is taken for hung of whose kind none has reported yet."""


@dataclass
class _Run:
    kind: RunKind
    reported: float
    heard: float
    waited: bool = False


class Silence:
    """Listens to the runs under way. Moments are seconds of this process being awake."""

    def __init__(self, protocol: Protocol) -> None:
        self._factor, self._least = protocol.hung_after, 60 * protocol.hung_minutes
        self._runs: dict[str, _Run] = {}
        self._usual: dict[RunKind, float] = {}
        self._looked = world().monotonic()
        self._awake = 0.0

    def began(self, run: str, kind: RunKind) -> None:
        """A run has begun, or goes on, in a group of its own."""
        self._runs[run] = _Run(kind, self._awake, self._awake)

    def reported(self, run: str) -> None:
        """It has reported, or ended: how long that took is usual from now on, unless it had to wait for something."""
        known = self._runs.get(run)
        if known is not None:
            if not known.waited:
                self._usual[known.kind] = max(self._usual.get(known.kind, 0.0), self._awake - known.reported)
            known.reported = known.heard = self._awake
            known.waited = False

    def heard(self, run: str, waits: bool = False) -> None:
        """It has given a sign of life.

        Args:
            run: which.
            waits: for something that no other run need wait for.
        """
        known = self._runs.get(run)
        if known is not None:
            known.heard = self._awake
            known.waited = known.waited or waits

    def over(self, run: str) -> None:
        """Nothing more is heard of it."""
        self._runs.pop(run, None)

    def look(self, all_wait: bool = False) -> Iterator[tuple[str, str]]:
        """Name the runs that have hung, with the reason in words; asked all the time.

        Args:
            all_wait: for something that is said elsewhere, such as images that are decoded.
        """
        now = world().monotonic()
        self._awake += min(now - self._looked, _STEP_S)
        self._looked = now
        if self._factor is None:
            return
        for name, run in list(self._runs.items()):
            if all_wait:
                self.heard(name, waits=True)
            usual = self._usual.get(run.kind)
            limit = _UNKNOWN_S if usual is None else max(self._least, self._factor * usual)
            silent = self._awake - run.heard
            if silent > limit:
                known = "none of its kind has reported yet" if usual is None else f"usual: {duration(usual)} at most"
                yield name, f"no report for {duration(silent)} ({known})"
