"""Population-based training on alternations (issue 17).

Jaderberg et al. 2017, "Population based training of neural networks", with truncation selection. All trials of a sweep
are one population. Everyone pauses at every rung; when all have come there, the worst make room: a new trial takes over
all that one of the best has come to, with settings near that one's, and goes on from there. So a trial has the same
settings for as long as it runs, and who took over from whom is in the rows.

The turn at a rung is a function of the scores there and the protocol's seed, the same when a sweep that was killed in
the middle of it is resumed. Those who took over are named for whose place they take and when: t003-6.
"""

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from bissl_ray.config.parameters import CategoricalParameter, IntParameter, Parameter, SettingValue
from bissl_ray.config.search_space import SearchSpace
from bissl_ray.search.promotion import Rungs
from bissl_ray.search.records import Record
from bissl_ray.words import PBT, Phase, Status, Step

MIDWAY: Final = frozenset(
    {
        "lower_lr",
        "upper_lr",
        "lower_weight_decay",
        "upper_weight_decay",
        "proximity_weight",
        "direct_weight",
        "damping",
        "damping_relative",
        "cg_iterations",
        "clip_norm",
    }
)
"""Settings that a run may go on with another value of; of all others a successor has its forerunner's."""
_FACTORS: Final = (0.8, 1.25)


class Heirs(Protocol):
    """The files that successors begin from."""

    def hand_over(self, donor: str, heir: str) -> None:
        """Keep all that a paused trial has come to for another; doing it again changes nothing (raises OSError)."""
        ...

    def has(self, heir: str) -> bool:
        """Whether a trial has been handed anything."""
        ...


@dataclass(frozen=True)
class Succession:
    """Who makes room for whom.

    Attributes:
        loser: ends here, if it had not before.
        donor: whose weights and settings the successor begins with.
        heir: the successor.
        after: the alternation.
    """

    loser: Record
    donor: Record
    heir: Record
    after: int

    @property
    def reason(self) -> str:
        """Why the loser ends, in words."""
        return f"PBT: {self.heir.trial} goes on in its place, from where {self.donor.trial} was after {self.after}"


class Population:
    """Kept up to date with every trial that pauses or ends."""

    def __init__(self, space: SearchSpace, heirs: Heirs | None) -> None:
        """Set up.

        Args:
            space: its parameters and protocol; all trials have as many alternations.
            heirs: the files; None: only to look, nobody makes room who has not before.
        """
        self._protocol = space.protocol
        self._parameters: dict[str, Parameter] = {n: p for n, p in space.parameters.items() if n in MIDWAY}
        self._levels = [*self._protocol.rungs(space.largest("alternations"))]
        self._heirs = heirs
        self._members: dict[str, Record] = {}
        self._settled = 0
        self._chosen: list[tuple[Record, Record, Record]] | None = None

    # As `promotion.Rungs`

    def until(self, record: Record) -> int | None:
        """The alternation after which a trial pauses next; None: it goes on to its end."""
        return next((level for level in self._levels if record.at < level), None)

    def has_run(self, record: Record) -> None:
        """Enter a trial that was proposed."""
        self._members.setdefault(record.trial.partition("-")[0], record)

    def goes_on(self) -> Record | None:
        """A trial that waits for nobody any more; to who only looks, any that waits."""
        settled = self._levels[self._settled - 1] if self._settled else 0
        waiting = (member for member in self._members.values() if member.status == Status.PAUSED)
        return next((member for member in waiting if self._heirs is None or member.at <= settled), None)

    def best_left(self) -> Record | None:
        """The best of the highest rung at which any trial waits."""
        waiting = [member for member in self._members.values() if member.status == Status.PAUSED]
        return max(waiting, key=lambda member: (member.at, _score(member, member.at)), default=None)

    # Turns

    def turns(self, known: Mapping[str, Record]) -> Iterator[Succession]:
        """Whoever makes room at rungs that all have come to by now; each is to be entered before the next is asked for.

        Args:
            known: all trials, by name: of a resumed sweep, who took over before.

        Raises:
            OSError: the storage refuses what a successor would begin from; who asks again, or resumes, comes to the
                same turn.
        """
        while self._chosen is not None or self._all_have_come():
            level = self._levels[self._settled]
            if self._chosen is None:
                self._chosen = list(self._choose(level))
            while self._chosen:
                loser, donor, heir = self._chosen[0]
                record = known.get(heir.trial) or self._handed_over(donor, heir, level)
                self._chosen.pop(0)
                if record is not None:
                    self._members[loser.trial.partition("-")[0]] = record
                    yield Succession(loser, donor, record, level)
            self._chosen = None
            self._settled += 1

    def _all_have_come(self) -> bool:
        if self._settled == len(self._levels) or len(self._members) < self._protocol.trials:
            return False
        level = self._levels[self._settled]
        return all(
            member.ended or member.at > level or (member.at == level and member.status == Status.PAUSED)
            for member in self._members.values()
        )

    def _choose(self, level: int) -> Iterator[tuple[Record, Record, Record]]:
        """Who makes room, for whose weights, as whom: by the scores after an alternation alone."""
        members = [self._members[slot] for slot in sorted(self._members, key=lambda slot: int(slot.removeprefix("t")))]
        ranked = sorted(members, key=lambda member: -_score(member, level))
        dead = sum(level not in member.curve for member in ranked)
        share = max(1, min(len(ranked) // self._protocol.reduction_factor, len(ranked) // 2))
        leaving = max(share, dead)
        # Who ended by itself just here has left nothing to go on from.
        stay = [member for member in ranked[: len(ranked) - leaving] if not (member.ended and member.at == level)]
        draw = random.Random(f"{self._protocol.seed} {level}")
        for loser in ranked[len(ranked) - leaving :]:
            if stay:
                donor = draw.choice(stay[:share])
                yield loser, donor, self._heir(loser, donor, level)

    def _heir(self, loser: Record, donor: Record, level: int) -> Record:
        name = f"{loser.trial.partition('-')[0]}-{level}"
        point = dict(donor.point)
        for setting in self._parameters.keys() & point.keys():
            # A draw each: the order of a point's settings is not kept by the store.
            draw = random.Random(f"{self._protocol.seed} {name} {setting}")
            point[setting] = _near(point[setting], self._parameters[setting], draw)
        return Record(name, Phase.EXPLORE, Step.SEARCH, None, donor.seed, point, PBT + donor.trial)

    def _handed_over(self, donor: Record, heir: Record, level: int) -> Record | None:
        """The successor, where there is something for it to begin from; else who was to make room goes on."""
        if self._heirs is None:
            return None
        if donor.status == Status.PAUSED and donor.at == level:
            self._heirs.hand_over(donor.trial, heir.trial)
            return heir
        return heir if self._heirs.has(heir.trial) else None


def _score(member: Record, level: int) -> float:
    """The larger the better; without a figure there, or with one that is no number, the worst."""
    objective = member.curve.get(level, -math.inf)
    return objective if math.isfinite(objective) else -math.inf


def _near(value: SettingValue, parameter: Parameter, draw: random.Random) -> SettingValue:
    """A value a fifth smaller or a quarter larger, within the range; of whole numbers at least a step away."""
    factor = draw.choice(_FACTORS)
    if isinstance(parameter, CategoricalParameter) or not isinstance(value, int | float):
        return value
    for way in (factor, 1 / factor):  # at an end of the range, the other way
        moved = parameter.nearest(value * way)
        if moved == value and isinstance(parameter, IntParameter):
            moved = parameter.nearest(value + (parameter.step if way > 1 else -parameter.step))
        if moved != value:
            break
    return moved


def rungs_of(space: SearchSpace, heirs: Heirs | None = None) -> Rungs | Population | None:
    """Where a space's explore trials pause, and who goes on; None: they do not.

    Args:
        space: with its protocol.
        heirs: as of `Population`.
    """
    protocol = space.protocol
    if not protocol.early_stopping or protocol.at_a_rung == "stop":
        return None
    if protocol.at_a_rung == "pause":
        return Rungs(protocol, space.largest("alternations"))
    return Population(space, heirs)
