"""A sweep that starts from earlier ones: what they propose, and the guard that stops those which mislead."""

import math
import random
from statistics import fmean
from typing import Any

import pytest

from bissl_ray.config.requests import WarmSource, WarmTrial
from bissl_ray.search.proposals import Proposals
from bissl_ray.search.records import Record
from bissl_ray.words import Origin, Phase, Status, Step
from tests.search.small_space import space

SEARCHED = {
    "lower_lr": {"type": "float", "low": 0.01, "high": 1.0, "log": True},
    "upper_lr": {"type": "float", "low": 0.001, "high": 0.1, "log": True},
    "cg_iterations": {"type": "int", "low": 0, "high": 10},
}
BEST = {"lower_lr": 0.2, "upper_lr": 0.02, "cg_iterations": 3}


def distance(point: Any) -> float:
    """From the best point, in decades and steps."""
    rates = sum(math.log10(point[name] / BEST[name]) ** 2 for name in ("lower_lr", "upper_lr"))
    return math.sqrt(rates + (point["cg_iterations"] - 3) ** 2 / 25)


def source(name: str, of: Any, trials: int = 60) -> WarmSource:
    """An earlier sweep whose scores are a function of the point, on a scale of their own."""
    drawn = random.Random(name)
    points = [
        {
            "lower_lr": 10 ** drawn.uniform(-2, 0),
            "upper_lr": 10 ** drawn.uniform(-3, -1),
            "cg_iterations": drawn.randrange(11),
        }
        for _ in range(trials)
    ]
    told = tuple(WarmTrial(point=p, objective=of(p), alternation=4, complete=i % 3 == 0) for i, p in enumerate(points))
    return WarmSource(sweep=name, dataset="pets", best=max(points, key=of), trials=told)


HELPFUL = source("helpful", lambda point: 0.2 - 0.01 * distance(point))
MISLEADING = source("misleading", lambda point: 0.9 + 0.01 * distance(point))


def searched(**protocol: Any) -> Any:
    numbers = {"trials": 40, "startup_trials": 10, "grace": 1, **protocol}
    return space(parameters=SEARCHED, protocol=numbers, fixed={"alternations": 4})


def ran(proposals: Proposals, number: int, history: list[Record]) -> None:
    """Run so many trials, one after another."""
    for _ in range(number):
        name = f"t{len(history):03d}"
        point, origin = proposals.ask(name)
        score = 0.5 - 0.1 * distance(point)
        record = Record(name, Phase.EXPLORE, Step.SEARCH, None, 0, point, origin, Status.COMPLETE, score)
        for alternation in range(1, 5):
            proposals.report(name, alternation, score)
            record.curve[alternation] = score
        proposals.tell(record)
        history.append(record)


def swept(*warm: WarmSource, number: int = 20, **protocol: Any) -> list[Record]:
    history: list[Record] = []
    ran(Proposals(searched(**protocol), warm=warm), number, history)
    return history


def drawn_from(name: str, history: list[Record]) -> list[Record]:
    return [record for record in history if record.origin == f"warm:{name}"]


def test_every_other_of_the_random_trials_is_drawn_from_the_source_its_best_first():
    history = swept(HELPFUL)
    assert [record.origin for record in history[:4]] == ["warm:helpful", "tpe", "warm:helpful", "tpe"]
    assert history[0].point == HELPFUL.best
    assert len(drawn_from("helpful", history)) == 5
    assert not drawn_from("helpful", history[10:]), "from there on its own trials are modelled"


@pytest.mark.parametrize("seed", range(5))
def test_what_a_helpful_one_proposes_is_better_than_chance_and_it_is_kept(seed):
    history = swept(HELPFUL, seed=seed)
    warm = drawn_from("helpful", history)
    chance = [record for record in history[:10] if record not in warm]
    assert fmean(distance(r.point) for r in warm) < fmean(distance(r.point) for r in chance)
    assert len(warm) == 5


@pytest.mark.parametrize("seed", range(5))
def test_nothing_more_is_drawn_from_one_that_misleads(seed):
    history: list[Record] = []
    proposals = Proposals(searched(seed=seed), warm=(MISLEADING,))
    ran(proposals, 20, history)
    assert len(drawn_from("misleading", history)) == 2
    assert proposals.dropped == ["nothing more is drawn from misleading: its 2 trials are no better than those of tpe"]


def test_of_two_the_one_that_misleads_is_dropped():
    history = swept(HELPFUL, MISLEADING)
    assert len(drawn_from("misleading", history)) == 2
    assert len(drawn_from("helpful", history)) == 3


def test_known_good_points_come_first():
    asked = searched().model_copy(update={"known_good": [{"lower_lr": 0.5}]})
    history: list[Record] = []
    ran(Proposals(asked, warm=(HELPFUL,)), 3, history)
    assert [record.origin for record in history] == [Origin.KNOWN_GOOD, "warm:helpful", "tpe"]


def test_a_sweep_that_goes_on_proposes_what_it_would_have():
    whole = swept(HELPFUL, MISLEADING, number=9)
    for interrupted in range(1, 9):
        history = whole[:interrupted]
        point, origin = Proposals(searched(), history, (HELPFUL, MISLEADING)).ask("next")
        assert origin == whole[interrupted].origin
        if origin != "tpe":
            assert point == whole[interrupted].point


def test_trials_under_way_count_and_tell_nothing_yet():
    proposals = Proposals(searched(), warm=(MISLEADING,))
    origins = [proposals.ask(f"t{i}")[1] for i in range(6)]
    assert origins == ["warm:misleading", "tpe"] * 3
    assert proposals.dropped == []


def test_a_trial_that_was_stopped_early_is_compared_as_far_as_it_came():
    """After one alternation all are level: what came later, where only some were, counts for nothing."""
    history = []
    for i in range(6):
        origin = "warm:late" if i % 2 == 0 else "tpe"
        curve = {1: 0.5 + 0.01 * (i % 2 == 0)} | ({} if i % 2 == 0 else {2: 0.9})
        record = Record(f"t{i}", Phase.EXPLORE, Step.SEARCH, None, 0, BEST, origin, Status.PRUNED, 0.5, curve=curve)
        history.append(record)
    _, origin = Proposals(searched(), history, (source("late", distance),)).ask("next")
    assert origin == "warm:late"
