"""What a person sees of a sweep as it runs: how far it is, what is best, how long it still takes, what it waits for."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from bissl_ray.preflight.doctor.findings import listed
from bissl_ray.progress import Spent, SweepProgress, Track, View
from bissl_ray.search.forecast import Climb, Forecast, Underway
from bissl_ray.store.filesystem import reason as words_of
from bissl_ray.sweep.searcher import InFlight
from bissl_ray.words import STEPS, Status, Step
from bissl_ray.world import world

_PAUSES: Final = 10
"""Times that drawing took, from one picture to the next; and how long that is at most."""
_LONGEST_S: Final = 5.0
_PATIENCE_S: Final = 30.0
"""From hand-out to the start of its group, which takes ten seconds on a busy machine: after that there is no room."""


class Picture:
    """Kept by the driver; runs have Tune's identifiers.

    Attributes:
        doing: what trials wait for before they begin, in words; None: nothing.
        objective_name: of the figure that trials are compared by, once it is known.
        budget: says how much of it is used; None: there is none.
    """

    def __init__(self, flight: InFlight, forecast: Forecast, view: View) -> None:
        """Set up.

        Args:
            flight: the sweep under way.
            forecast: says how long it still takes; learns from every run.
            view: shows progress.
        """
        self._flight, self._forecast, self._view = flight, forecast, view
        self._begin = world().monotonic()
        self._since: dict[str, float] = {}
        self._climbs: dict[str, Climb] = {}
        self._tracks: dict[str, Track] = {}
        self._waiting: dict[str, tuple[str, str]] = {}
        self._handed_out: dict[str, float] = {}
        self._iteration = 0
        self._news_since: int | None = None
        self._next_look = 0.0
        self.objective_name: str | None = None
        self.doing: str | None = None
        self.budget: Callable[[], Spent] | None = None

    # What it is told

    def began(self, run: str) -> None:
        """A run has begun."""
        self._waiting.pop(run, None)
        self._since[run] = world().monotonic()
        if self._handed_out.pop(run, None) is not None:
            self.show()

    def reported(self, run: str, climbs: bool) -> None:
        """It works, and has made a report; `climbs`: of an alternation of an explore trial."""
        self._waiting.pop(run, None)
        if climbs:
            before, now = self._climbs.get(run, Climb()), world().monotonic()
            seconds = now - self._since.get(run, now)
            self._climbs[run] = Climb(before.reports + 1, before.first if before.reports else seconds, seconds)

    def told(self, run: str, *reports: Mapping[str, Any]) -> None:
        """Reports that it has made, as the store has them."""
        known = self._flight.running.get(run)
        if known is None:
            return
        track = self._tracks.setdefault(run, Track(known.plan.record.curve))
        for report in reports:
            track.report({"reported_at": world().now(), **report})

    def waits(self, run: str, trial: str, what: str | None) -> None:
        """It lives; and waits for something, in words, or does not."""
        before = self._waiting.pop(run, None)
        if what is not None:
            self._waiting[run] = (what, trial)
        if before != self._waiting.get(run):
            self.show()

    def over(self, run: str) -> tuple[Climb, float]:
        """It is over.

        Returns:
            How far it has come, and how many seconds it took.
        """
        now = world().monotonic()
        self._waiting.pop(run, None)
        self._handed_out.pop(run, None)
        self._tracks.pop(run, None)
        return self._climbs.pop(run, Climb()), now - self._since.pop(run, now)

    # What it shows

    def show(self) -> None:
        """Have the live view brought up to date, soon."""
        if self._news_since is None:
            self._news_since = self._iteration

    def step_begins(self, iteration: int) -> None:
        """Know which of its steps Tune is at."""
        self._iteration = iteration

    def step_ends(self) -> None:
        """Draw what has changed, a step later: by then the group of a run that has ended has its next one.

        Drawing may take a tenth of the time, as ranking ten thousand trials takes long; more where it takes longer than
        half a second, as on a machine that does much else: who looks should see that it goes on.
        """
        self._look_for_room()
        news = self._news_since
        if news is not None and self._iteration > news and world().monotonic() >= self._next_look:
            begin = world().monotonic()
            self.draw()
            took = world().monotonic() - begin
            self._next_look = begin + took + min(_PAUSES * took, _LONGEST_S)

    def draw(self) -> None:
        """Bring the live view up to date, now."""
        self._news_since = None
        flight, planner, ledger = self._flight, self._flight.planner, self._flight.planner.ledger
        best = ledger.incumbent
        self._view.show(
            SweepProgress(
                phase=STEPS[planner.step()],
                total=planner.expected,
                done=ledger.ended.total(),
                running=len(flight.running) - len(self._without_room()),
                pruned=ledger.ended[Status.PRUNED],
                failed=ledger.ended[Status.FAILED],
                paused=len(ledger.paused),
                elapsed=world().monotonic() - self._begin,
                left=self._forecast.left(planner.to_come(), self._underway(), max(flight.room.slots(), 1)),
                best=(best.trial, best.objective) if best is not None and best.objective is not None else None,
                objective_name=self.objective_name,
                trials=lambda: flight.writer.trials,
                trouble=self._trouble(),
                doing=self.doing,
                dataset=flight.writer.dataset,
                where=flight.room.where,
                slots=flight.room.slots(),
                budget=None if self.budget is None else self.budget(),
                tracks=self._by_trial,
            )
        )

    def _by_trial(self) -> Mapping[str, Track]:
        running = self._flight.running
        return {
            running[run].plan.record.trial: self._tracks.get(run) or Track(running[run].plan.record.curve)
            for run in self._since
            if run in running and running[run].plan.step != Step.TEST
        }

    def _look_for_room(self) -> None:
        """Note when runs were handed out that have not begun: who else has the cluster's CPUs and GPUs, nobody says."""
        now = world().monotonic()
        for run in self._flight.running.keys() - self._since.keys():
            if now - self._handed_out.setdefault(run, now) > _PATIENCE_S and run not in self._waiting:
                trial = self._flight.running[run].plan.record.trial
                self.waits(run, trial, "waits for room on the cluster, whose CPUs or GPUs others hold")

    def _without_room(self) -> set[str]:
        return self._handed_out.keys() & self._waiting.keys()

    def _trouble(self) -> str | None:
        held_up = self._flight.planner.held_up_by
        turn = None if held_up is None else f"nobody can take another's place: {words_of(held_up)}"
        waiting: dict[str, list[str]] = {}
        for what, trial in self._waiting.values():
            waiting.setdefault(what, []).append(trial)
        trials = (f"{listed(sorted(names))}{':' if names[1:] else ''} {what}" for what, names in waiting.items())
        return "; ".join(filter(None, [self._flight.writer.trouble, turn, *trials])) or None

    def _underway(self) -> Iterator[Underway]:
        now = world().monotonic()
        for run, (plan, order) in self._flight.running.items():
            elapsed = now - self._since.get(run, now)
            if plan.step == Step.SEARCH:
                to_go = (plan.until or order.settings.alternations) - plan.record.at
                yield Underway(plan.kind, elapsed, self._climbs.get(run, Climb()), max(to_go, 0))
            else:
                yield Underway(plan.kind, elapsed)
