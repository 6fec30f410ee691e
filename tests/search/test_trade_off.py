"""A search that has an eye on seconds beside the score."""

import math

import pytest
from pydantic import ValidationError

from bissl_ray.config.data_choice import DataChoice
from bissl_ray.config.requests import SweepRequest
from bissl_ray.leaderboard import as_markdown, read_board
from bissl_ray.search.proposals import Proposals
from bissl_ray.search.records import Record
from bissl_ray.winner import on_front
from bissl_ray.words import Phase, Status, Step
from tests.search.small_space import space
from tests.search.whole_sweep import WholeSweep, share
from tests.sweep.stored_sweep import write_sweep

SEARCHED = {
    "cg_iterations": {"type": "int", "low": 0, "high": 20},
    "lower_lr": {"type": "float", "low": 0.1, "high": 1.0},
}


def searched(**protocol):
    return space(
        parameters=SEARCHED, protocol={"trade_off": "seconds", "early_stopping": False, "trials": 30, **protocol}
    )


def test_the_front_is_what_nothing_beats_in_both():
    points = [(0.9, 10.0), (0.8, 5.0), (0.8, 6.0), (0.7, 5.0), (0.6, 1.0), (0.9, 10.0), (0.95, 20.0)]
    beaten = [any(s >= a and c <= b and (s, c) != (a, b) for s, c in points) for a, b in points]
    assert on_front(points) == [not each for each in beaten] == [True, True, False, False, True, True, True]
    assert on_front([]) == []


@pytest.mark.parametrize("seed", range(20))
def test_the_front_of_chance_is_what_its_definition_says(seed):
    points = [(round(share(seed, i), 1), round(share(seed, i, "cost"), 1)) for i in range(40)]
    beaten = [any(s >= a and c <= b and (s, c) != (a, b) for s, c in points) for a, b in points]
    assert on_front(points) == [not each for each in beaten]


def run(number, **protocol):
    """Scores rise with the iterations and so do seconds; the rate is best in the middle, and costs nothing."""
    proposals, history = Proposals(searched(**protocol)), []
    for i in range(number):
        point, origin = proposals.ask(f"t{i:03d}")
        score = 0.5 + 0.02 * point["cg_iterations"] - (point["lower_lr"] - 0.5) ** 2
        seconds = 10.0 + point["cg_iterations"]
        record = Record(f"t{i:03d}", Phase.EXPLORE, Step.SEARCH, None, 0, point, origin, Status.COMPLETE, score)
        record.seconds, record.curve = seconds, {1: score}
        proposals.report(record.trial, 1, score)
        proposals.tell(record)
        history.append(record)
    return proposals, history


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random", "qmc"])
def test_optuna_is_told_both(sampler):
    proposals, history = run(15, sampler=sampler, startup_trials=5)
    assert [trial.values for trial in proposals.trials] == [[r.objective, r.seconds] for r in history]
    again = Proposals(searched(sampler=sampler), history)
    assert [trial.values for trial in again.trials] == [[r.objective, r.seconds] for r in history]


def test_one_that_failed_and_one_whose_seconds_are_not_known_are_no_values():
    _, history = run(2)
    history[0].status, history[0].objective = Status.FAILED, None
    history[1].seconds = None
    states = [trial.state.name for trial in Proposals(searched(), history).trials]
    assert states == ["FAIL", "PRUNED"]


def test_the_search_goes_for_both_ends():
    """With the score alone it would end at the most iterations."""
    _, history = run(60, startup_trials=10)
    late = [record.point["cg_iterations"] for record in history[30:]]
    assert min(late) <= 5
    assert max(late) >= 15
    rates = [abs(record.point["lower_lr"] - 0.5) for record in history]
    assert sum(rates[40:]) / 20 < sum(rates[:10]) / 10, "what costs nothing is put right at either end"


def seconds_of(record):
    return 100 * share(record.trial, "seconds")


def whole(**protocol):
    """A sweep whose explore trials have seconds of their own."""
    asked = searched(finalists=3, **protocol)
    sweep = WholeSweep(asked)
    ended = sweep.planner.ended

    def with_seconds(plan):
        plan.record.seconds = seconds_of(plan.record)
        ended(plan)

    sweep.planner.ended = with_seconds  # type: ignore[method-assign]
    return sweep.run()


def test_finalists_are_the_best_of_the_front():
    sweep = whole()
    explored = sweep.of("explore", "search")
    front = [
        r
        for r in explored
        if not any(o.objective >= r.objective and seconds_of(o) < seconds_of(r) for o in explored if o is not r)
    ]
    best = sorted(front, key=lambda record: -record.objective)[:3]
    assert [record.trial for record in sweep.planner.finalists()] == [record.trial for record in best]
    assert sweep.planner.finalists()[0].objective == max(record.objective for record in explored)


def test_a_front_of_fewer_is_filled_up_with_the_best_of_the_others():
    sweep = whole(trials=3)
    assert {record.trial for record in sweep.planner.finalists()} == {"t000", "t001", "t002"}


def test_the_board_marks_the_front(tmp_path):
    sweep = whole()
    request = SweepRequest(name="night", data=DataChoice(dataset="digits"), space=sweep.space)
    write_sweep(tmp_path, sweep, request, objective_name="validation_top1")
    board = read_board(tmp_path)
    front = board.verdicts[0].front
    assert [record.trial for record in sweep.planner.finalists()] == list(front[:3])
    assert {row["trial"] for row in board.rows if row["on_front"]} == set(front)
    assert f"{front[0]} ◆" in as_markdown(board.rows, board.verdicts)
    assert "◆ on the front" in as_markdown(board.rows, board.verdicts)


@pytest.mark.parametrize(
    ("protocol", "line"),
    [
        ({"early_stopping": True}, "found seconds with early_stopping: true, expected it to be false"),
        ({"sampler": "cmaes"}, "cmaes, which has one objective"),
    ],
)
def test_what_does_not_go_together(protocol, line):
    with pytest.raises(ValidationError, match=line):
        searched(**protocol)


def test_without_it_nothing_is_marked_and_finalists_are_the_best():
    sweep = WholeSweep(space(protocol={"trials": 8})).run()
    explored = sorted(sweep.of("explore", "search"), key=lambda record: -record.objective)
    assert [record.trial for record in sweep.planner.finalists()] == [record.trial for record in explored[:2]]
    assert not math.isnan(explored[0].objective)
