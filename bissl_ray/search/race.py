"""A fine-tuning search whose points run on several seeds: the better half goes on with as many again (issue 16).

One run per point is a lottery where labels are few, and so are three where the points lie close: of six points of the
same control on Fashion-MNIST three runs each once chose a rate that its seeds then put 1.4 points below another.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bissl_ray.config.protocol import runs_of_rounds
from bissl_ray.search.records import Record
from bissl_ray.winner import Contender, place


@dataclass(frozen=True)
class Race:
    """How a fine-tuning search stands.

    Attributes:
        wanted: how many runs each point is to have had by now, by the name of its first.
        best: when all rounds have run, the first runs of the last one's points, the best mean first; else empty.
        later: runs of rounds that have not begun.
    """

    wanted: dict[str, int]
    best: list[Record]
    later: int

    @property
    def runs(self) -> int:
        """All of it, as far as is known."""
        return sum(self.wanted.values()) + self.later


def run_race(
    names: Sequence[str], rounds: Sequence[tuple[int, int]], records: Mapping[str, Record], first_alone: bool = False
) -> Race:
    """Say how far a search has come.

    Args:
        names: its points, by their first runs.
        rounds: points and runs of each (`Protocol.tuning_rounds`).
        records: what has run, by name.
        first_alone: whether no more than the first round can begin, as long as it isn't known who is confirmed.
    """
    wanted: dict[str, int] = {}
    best: list[Record] = []
    for number, (count, seeds) in enumerate(rounds if names else ()):
        names = names[:count]
        wanted |= dict.fromkeys(names, seeds)
        best = _ranked(names, seeds, records)
        if not best or first_alone:
            return Race(wanted, [], runs_of_rounds(rounds, number + 1))
        names = [point.trial for point in best]
    return Race(wanted, best, 0)


def points_of(parent: str, numbers: Iterable[int]) -> list[str]:
    """Names of the first runs of a finalist's points, or of the control's."""
    return [f"{parent}-f{i}" for i in numbers]


def runs_of(name: str, seeds: int) -> list[str]:
    """Names of a point's runs, by that of its first."""
    return [name, *(f"{name}-r{s}" for s in range(1, seeds))]


def _ranked(names: Iterable[str], seeds: int, records: Mapping[str, Record]) -> list[Record]:
    """The first runs of points, the best mean first; empty while any of their runs is to come.

    A point that failed on a seed comes after those that failed on fewer; one that always failed is left out.
    """
    every = {name: [records.get(run) for run in runs_of(name, seeds)] for name in names}
    if not all(run is not None and run.ended for runs in every.values() for run in runs):
        return []
    scores = {name: [run.objective for run in runs if run is not None and run.scored] for name, runs in every.items()}
    contenders = [Contender(name, [s for s in own if s is not None]) for name, own in scores.items()]
    return [records[contender.name] for contender in sorted(contenders, key=place) if contender.scores]
