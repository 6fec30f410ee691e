"""Several sweeps in one Tune experiment, on the same worker groups; one sweep alone is a case of it.

The first that is not finished comes first. A group for which it has nothing to run, as where the last runs of a step
are waited for, runs a trial of the next, and comes back.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from bissl_ray.progress import Event, Note, SweepProgress, View, wishes_of
from bissl_ray.store.schema import Row
from bissl_ray.sweep.room import Room
from bissl_ray.sweep.scheduler import ExploreASHA, forget_ended
from bissl_ray.sweep.searcher import SWEEP, InFlight, PlannedSearcher
from bissl_ray.sweep.standing_by import StandingBy

_ONLY: Final = 1
_SPARE: Final = 1
"""Groups that a sweep wants beside those that it can use: only who has a free one learns that there is more to run."""


class Turns:
    """Whose turn it is.

    Attributes:
        flights: the sweeps by name, in their order; each is added when it has been rebuilt.
    """

    def __init__(self, count: int) -> None:
        """Set up.

        Args:
            count: of the sweeps that there will be.
        """
        self._count = count
        self.flights: dict[str, InFlight] = {}

    @property
    def is_one(self) -> bool:
        """Whether there is one sweep only."""
        return self._count == _ONLY

    @property
    def running(self) -> int:
        """How many runs are under way."""
        return sum(len(flight.running) for flight in self.flights.values())

    @property
    def front(self) -> str | None:
        """The first sweep that is not finished; None: all are."""
        return next((name for name, flight in self.flights.items() if not flight.planner.finished), None)

    def beside(self, name: str) -> dict[str, int]:
        """How many runs of other sweeps are under way, where there are any."""
        return {
            other: len(flight.running) for other, flight in self.flights.items() if other != name and flight.running
        }


class Rest(Room):
    """What one of several sweeps has room for: what the others leave.

    Args:
        room: for all of them.
        turns: of the sweeps.
        name: of this one.
    """

    def __init__(self, room: Room, turns: Turns, name: str) -> None:
        self._all, self._turns, self._name = room, turns, name

    def slots(self) -> int:  # noqa: D102
        return max(self._all.slots() - sum(self._turns.beside(self._name).values()), 0)

    def gpus(self) -> float:  # noqa: D102
        return self._all.gpus()

    @property
    def where(self) -> str | None:  # noqa: D102
        return self._all.where

    def share(self) -> float:  # noqa: D102
        everything = self._all.slots()
        mine = self.slots() if self._turns.front == self._name else len(self._turns.flights[self._name].running)
        return min(mine / everything, 1.0) if everything else 0.0

    def leaving(self, actors: Mapping[str, Any]) -> set[str]:  # noqa: D102
        return self._all.leaving(actors)


class Named:
    """A view of one of several sweeps: its notes have its name, and where it stands is shown when it is in front."""

    def __init__(self, view: View, turns: Turns, name: str) -> None:
        """Set up.

        Args:
            view: of all of them.
            turns: of the sweeps.
            name: of this one.
        """
        self._view, self._turns, self._name = view, turns, name
        self.wishes: Final = wishes_of(view)

    def show(self, event: Event) -> None:
        """Pass it on."""
        match event:
            case _ if self._turns.is_one:  # whose name the title has
                self._view.show(event)
            case Note(line):
                self._view.show(Note(f"{self._name}: {line}"))
            case SweepProgress():
                if self._turns.front == self._name:
                    self._view.show(replace(event, sweep=self._name, beside=self._turns.beside(self._name)))
            case _:
                self._view.show(event)


class InTurn(Searcher):  # type: ignore[misc]
    """Asks each sweep, in their order, whenever a worker group is free."""

    def __init__(self, searchers: Sequence[PlannedSearcher], room: Room) -> None:
        """Set up.

        Args:
            searchers: of the sweeps, in their order.
            room: for all of them; is told how much of it they could use.
        """
        super().__init__(metric="objective", mode="max")
        self._searchers, self._room = searchers, room

    def suggest(self, trial_id: str) -> dict[str, str | int] | str | None:
        """As `PlannedSearcher`: None if any sweep may have something later, FINISHED if none will."""
        may_come = False
        for searcher in self._searchers:
            found = searcher.suggest(trial_id)
            if isinstance(found, dict):
                self._room.want(None)
                return found
            may_come = may_come or found is None
        running = sum(len(searcher.flight.running) for searcher in self._searchers)
        if running < self._room.slots():
            self._room.want(running + _SPARE)
        return None if may_come else str(Searcher.FINISHED)

    def on_trial_complete(self, trial_id: str, result: Row | None = None, error: bool = False) -> None:
        """Nothing: the sweep's recorder takes the trial out when it has seen how it ended."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: resuming replays Parquet."""

    restore = save


class EachByItsOwn(FIFOScheduler):  # type: ignore[misc]
    """Has each trial's reports judged by the rungs of its own sweep."""

    def __init__(self, schedulers: Mapping[str, ExploreASHA], idle: Callable[[], int]) -> None:
        """Set up.

        Args:
            schedulers: by the sweep's name.
            idle: says how many groups may stand by, beside those that run trials.
        """
        super().__init__()
        self._schedulers = schedulers
        self._standing_by = StandingBy(idle)

    def _of(self, trial: Trial) -> ExploreASHA:
        return self._schedulers[trial.config[SWEEP]]

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Pass it on, as the others; and see to it that worker groups outlive their trials."""
        tune_controller._actor_cache = self._standing_by  # there is no public switch
        forget_ended(tune_controller)
        self._of(trial).on_trial_add(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: Row) -> str:  # noqa: D102
        return self._of(trial).on_trial_result(tune_controller, trial, result)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: Row) -> None:  # noqa: D102
        self._of(trial).on_trial_complete(tune_controller, trial, result)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:  # noqa: D102
        self._of(trial).on_trial_remove(tune_controller, trial)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:  # noqa: D102
        self._of(trial).on_trial_remove(tune_controller, trial)


class WhenAnyAsks(tune.Stopper):  # type: ignore[misc]
    """Asks each sweep in every round, and stops all when one says so: they stop for the same reasons."""

    def __init__(self, stops: Iterable[Callable[[], bool]]) -> None:
        """Set up.

        Args:
            stops: of the sweeps: looks at its budget, and says whether to stop.
        """
        self._stops = list(stops)

    def __call__(self, trial_id: str, result: dict[str, object]) -> bool:
        """No trial by itself."""
        return False

    def __reduce__(self) -> tuple[type, tuple[()]]:
        # Tune pickles its stopper into a snapshot that nobody reads.
        return tune.stopper.NoopStopper, ()

    def stop_all(self) -> bool:
        """Whether any says so; all are asked, each has its own budget to look at."""
        said = [stop() for stop in self._stops]
        return any(said)
