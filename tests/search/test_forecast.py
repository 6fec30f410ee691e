"""The time left that a sweep says, against what it then took; on a clock of its own."""

import heapq
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

import pytest

from bissl_ray.search.forecast import SEARCH, Climb, Forecast, Underway
from bissl_ray.search.planner import Planner
from bissl_ray.search.plans import Plan, RunKind
from bissl_ray.search.proposals import finetune_points
from bissl_ray.words import Phase, Status, Step
from tests.search.small_space import space
from tests.search.whole_sweep import ByName, share

ALTERNATIONS = 8
LONG: dict[str, Any] = {"trials": 20, "finalists": 2, "finetune_runs": 4, "finetune_seeds": 2, "seeds": 5}


def lengths(plan: Plan, alternation: float, finetuning: float, start: float = 0.0) -> list[float]:
    """Seconds between a run's reports, the last its end: with a fifth of noise; of explore trials a third go on."""
    trial, step = plan.record.trial, plan.step
    noise = [0.8 + 0.4 * share(trial, step, i) for i in range(ALTERNATIONS)]
    if step == Step.SEARCH:
        alternations = ALTERNATIONS if share(trial, "good") < 1 / 3 else 2
        return [start * (i == 0) + alternation * noise[i] for i in range(alternations)]
    if step == Step.TEST:
        return [finetuning / 4 * noise[0]]
    aligns = step == Step.SEEDS and plan.record.phase == Phase.CONFIRM
    return [start * aligns + (ALTERNATIONS * alternation * aligns + finetuning) * noise[0]]


def said(lengths_of: Callable[[Plan], list[float]], work: Callable[[RunKind], float], slots: int) -> list[Any]:
    """Run a whole sweep: (time, what was said to be left) after each event, and when it ended."""
    planner = Planner(space(LONG).protocol, ByName(), partial(finetune_points, space(LONG)), only=None)
    forecast = Forecast(ALTERNATIONS, work)
    now, number = 0.0, count()
    events: list[tuple[float, int, Plan, list[float]]] = []
    running: dict[int, tuple[Plan, float, Climb]] = {}
    heard = []
    while True:
        while len(running) < slots and (plan := planner.next()) is not None:
            key, (first, *rest) = next(number), lengths_of(plan)
            running[key] = plan, now, Climb()
            heapq.heappush(events, (now + first, key, plan, rest))
        underway = [
            Underway(p.kind, now - since, climb, ALTERNATIONS - climb.reports if p.kind == SEARCH else 0)
            for p, since, climb in running.values()
        ]
        heard.append((now, forecast.left(planner.to_come(), underway, slots)))
        if not running:
            assert planner.finished and not planner.to_come()
            return heard
        now, key, plan, rest = heapq.heappop(events)
        plan, since, climb = running[key]
        if plan.step == Step.SEARCH:
            climb = Climb(climb.reports + 1, climb.first or now - since, now - since)
        running[key] = plan, since, climb
        if rest:
            heapq.heappush(events, (now + rest[0], key, plan, rest[1:]))
            continue
        del running[key]
        if plan.step == Step.TEST:
            plan.record.test_metric = 0.5
        else:
            whole = plan.step != Step.SEARCH or climb.reports == ALTERNATIONS
            plan.record.status = Status.COMPLETE if whole else Status.PRUNED
            plan.record.objective = share(plan.record.trial)
        planner.ended(plan)
        forecast.learn(plan.kind, now - since, climb)


@pytest.mark.parametrize("slots", [1, 2, 3])
@pytest.mark.parametrize(("alternation", "finetuning"), [(1.0, 4.0), (8.0, 2.0), (0.5, 40.0)])
@pytest.mark.parametrize("misjudged", [1.0, 3.0])
@pytest.mark.parametrize("start", [0.0, 10.0])
def test_time_left_is_near_what_it_takes(
    slots: int, alternation: float, finetuning: float, misjudged: float, start: float
) -> None:
    """(8, 2): a confirmation of BiSSL takes 33 times as long as a tuning run; work may be off by a factor of three."""

    def work(kind: RunKind) -> float:
        of_stages = {
            SEARCH: ALTERNATIONS * alternation,
            (Phase.CONFIRM, Step.SEEDS): ALTERNATIONS * alternation + misjudged * finetuning,
        }
        return of_stages.get(kind, misjudged * finetuning / (4 if kind[1] == Step.TEST else 1))

    heard = said(partial(lengths, alternation=alternation, finetuning=finetuning, start=start), work, slots)
    end = heard[-1][0]
    off = {}
    for share_of_time, most in ((0.1, 2.0 * misjudged), (0.5, 1.3 * misjudged**0.5), (0.9, 1.35)):
        at, left = min(heard, key=lambda one: abs(one[0] - share_of_time * end))
        off[share_of_time] = left / (end - at)
        assert 1 / most < off[share_of_time] < most, off
    assert heard[0][1] is None  # nothing has run: nothing is known
    assert heard[-1][1] == pytest.approx(0.0)


def test_what_is_known_from_the_first_report_on() -> None:
    forecast = Forecast(10, lambda kind: {SEARCH: 100.0, (Phase.CONTROL, Step.TUNING): 50.0}[kind])
    to_come = Counter({(Phase.CONTROL, Step.TUNING): 3})
    assert forecast.left(to_come, [Underway(SEARCH, 4.0, Climb(), 10)], 1) is None
    # Two alternations took 4 s: eight more take 16, and half the work of a whole trial's 20 s three times.
    assert forecast.left(to_come, [Underway(SEARCH, 4.0, Climb(2, 2.0, 4.0), 8)], 1) == pytest.approx(16 + 3 * 10)
    # Of two slots the second has nothing to do while the trial goes on; two runs follow, then one.
    assert forecast.left(to_come, [Underway(SEARCH, 4.0, Climb(2, 2.0, 4.0), 8)], 2) == pytest.approx(16 + 15)
    forecast.learn((Phase.CONTROL, Step.TUNING), 7.0)
    assert forecast.left(to_come, [], 1) == pytest.approx(21)
    assert forecast.left(to_come, [Underway((Phase.CONTROL, Step.TUNING), 9.0)], 1) == pytest.approx(21)


def test_what_runs_took_before_a_sweep_was_resumed_gives_way_to_what_they_take_now() -> None:
    """Resumed on a machine that was three times as fast, a sweep of digits said 28 minutes where 9 were left."""
    seeds: RunKind = (Phase.CONFIRM, Step.SEEDS)
    forecast = Forecast(ALTERNATIONS, lambda kind: 1.0)
    for _ in range(30):
        forecast.learn(seeds, 30.0)
        forecast.learn(SEARCH, 80.0, Climb(ALTERNATIONS, 10.0, 80.0))
    before = forecast.left({seeds: 10}, [], 1)
    forecast.begin_session()
    forecast.begin_session()  # and nothing ran in between
    assert forecast.left({seeds: 10}, [], 1) == pytest.approx(before) == 300.0
    for _ in range(12):
        forecast.learn(seeds, 10.0)
    assert forecast.left({seeds: 10}, [], 1) == pytest.approx(10 * (3 * 30 + 12 * 10) / 15)
    for _ in range(12):
        forecast.learn(SEARCH, 24.0, Climb(ALTERNATIONS, 3.0, 24.0))
    assert forecast.left({SEARCH: 1}, [], 1) == pytest.approx((3 * 80 + 12 * 24) / 15)
    assert Forecast(ALTERNATIONS, lambda kind: 1.0).left({seeds: 1}, [], 1) is None
