"""What a sampler is told of a long search."""

import pytest

from bissl_ray.search import remembered as module
from bissl_ray.search.proposals import Proposals
from bissl_ray.search.records import Record
from bissl_ray.search.remembered import remembered
from bissl_ray.words import Phase, Status, Step
from tests.search.small_space import space


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(module, "MOST", 40)
    monkeypatch.setattr(module, "_BEST", 5)
    monkeypatch.setattr(module, "_OTHERS", 10)


def trial(number, objective=None, status=Status.COMPLETE, curve=(), seconds=1.0):
    record = Record(f"t{number:03d}", Phase.EXPLORE, Step.SEARCH, None, 0, {"lower_lr": 0.5}, "tpe", status, objective)
    record.curve, record.seconds = dict(curve), seconds
    return record


def names(records):
    return [record.trial for record in records]


def test_all_of_a_few():
    history = [trial(i, i / 100) for i in range(39)]
    assert remembered(history, space().protocol) == history


def test_the_best_some_others_and_those_that_run():
    history = [trial(i, (i * 37 % 100) / 100) for i in range(100)] + [trial(100, status=Status.RUNNING)]
    kept = remembered(history, space().protocol)
    assert names(kept) == sorted(names(kept))
    assert len(kept) == 5 + 10 + 1
    assert {record.objective for record in kept[:-1]} >= {0.95, 0.96, 0.97, 0.98, 0.99}
    assert kept[-1].status == Status.RUNNING


def test_the_draw_is_of_the_history():
    history = [trial(i, i / 100) for i in range(100)]
    kept = remembered(history, space().protocol)
    assert names(kept) == names(remembered(list(history), space().protocol))
    other = space(protocol={"seed": 7}).protocol
    assert names(kept) != names(remembered(history, other))
    assert names(kept)[-5:] == names(remembered(history, other))[-5:]  # the best five, whatever is drawn


def test_stopped_trials_are_placed_behind_by_how_far_they_came():
    whole = [trial(i, 0.1) for i in range(2)]
    nearly = [trial(i, status=Status.PRUNED, curve={1: 0.9, 4: 0.2}) for i in range(2, 4)]
    early = [trial(i, status=Status.PRUNED, curve={1: 0.9}) for i in range(4, 60)]
    best = set(names(remembered([*early, *nearly, *whole], space().protocol)))
    assert {"t000", "t001", "t002", "t003"} <= best


def test_what_tells_nothing_is_left_out():
    failed = [trial(i, status=Status.FAILED) for i in range(20)]
    unknown = [trial(i, float("nan"), Status.COMPLETE) for i in range(20, 30)]
    broken = [trial(i, status=Status.PRUNED, curve={1: float("nan")}) for i in range(30, 40)]
    good = [trial(i, 0.5) for i in range(40, 60)]
    assert len(remembered([*failed, *unknown, *broken, *good], space().protocol)) == 15
    assert {record.trial for record in remembered([*failed, *unknown, *broken, *good], space().protocol)} <= set(
        names(good)
    )


def test_the_front_is_kept_where_score_is_traded_for_seconds():
    front = [trial(i, i / 10, seconds=1.0 + i) for i in range(5)]  # each better, and each slower
    beaten = [trial(i, 0.05, seconds=100.0) for i in range(5, 60)]
    protocol = space(protocol={"trade_off": "seconds", "early_stopping": False}).protocol
    assert names(remembered([*beaten, *front], protocol))[-5:] == names(front)


@pytest.mark.parametrize("sampler", ["random", "qmc", "cmaes", "nsga2"])
def test_samplers_that_keep_a_state_in_trials_know_them_all(sampler):
    history = [trial(i, i / 100) for i in range(60)]
    assert len(remembered(history, space(protocol={"sampler": sampler}).protocol)) == 60


def test_a_study_never_holds_more():
    proposals, held = Proposals(space()), []
    for i in range(100):
        point, origin = proposals.ask(f"t{i:03d}")
        record = Record(f"t{i:03d}", Phase.EXPLORE, Step.SEARCH, None, 0, point, origin)
        record.status, record.objective, record.seconds = Status.COMPLETE, 1 / (1 + point["lower_lr"]), 1.0
        proposals.tell(record)
        held.append(len(proposals.trials))
    assert max(held) == 40
    assert held[40] == 16  # fifteen, and the one that was asked for
