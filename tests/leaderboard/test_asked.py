"""The board says that exploring ended before its last trial, and why."""

import pytest

from bissl_ray.config.data_choice import DataChoice
from bissl_ray.config.requests import SweepRequest
from bissl_ray.leaderboard import as_markdown, read_board
from bissl_ray.sweep.run import _extended
from tests.search.small_space import space
from tests.search.whole_sweep import WholeSweep, share
from tests.sweep.stored_sweep import write_sweep


def board(storage, stop_after=None, score=None, **protocol):
    searched = space(protocol={"trials": 60, **protocol})

    def spend(sweep):
        if stop_after is not None and len(sweep.records) >= stop_after:
            sweep.planner.end_exploring("the budget is spent")

    sweep = WholeSweep(searched, **({} if score is None else {"score": score})).run(spend)
    request = SweepRequest(name="night", data=DataChoice(dataset="digits"), space=searched)
    write_sweep(storage, sweep, request, objective_name="validation_top1")
    return read_board(storage), len(sweep.of("explore", "search"))


def test_a_plateau(storage):
    found, explored = board(storage, plateau=3)
    line = (
        f"Exploring ended after {explored} of 60 trials: 3 trials found none that is better than the best before them."
    )
    assert found.verdicts[0].cut_short == line
    assert line in as_markdown(found.rows, found.verdicts)


def test_a_target(storage):
    found, explored = board(storage, target=0.9)
    assert found.verdicts[0].cut_short == f"Exploring ended after {explored} of 60 trials: the target is reached."


def test_a_budget_of_which_nothing_is_stored(storage):
    found, _ = board(storage, stop_after=5)
    assert found.verdicts[0].cut_short == "Exploring ended after 5 of 60 trials."


def test_nothing_where_all_were_explored_or_what_was_asked_is_not_known(storage):
    found, _ = board(storage, trials=6)
    assert found.verdicts[0].cut_short is None
    board(storage, plateau=3)
    (storage / "sweeps/night/sweep.json").unlink()
    assert read_board(storage).verdicts[0].cut_short is None


@pytest.mark.parametrize(("trials", "plateau", "target"), [(60, 3, 0.9), (61, None, None)])
def test_who_asks_for_more_trials_gets_them(trials, plateau, target):
    searched = space(protocol={"trials": 60, "plateau": 3, "target": 0.9})
    request = SweepRequest(name="night", data=DataChoice(dataset="digits"), space=searched)
    protocol = _extended(request, trials).space.protocol
    assert (protocol.trials, protocol.plateau, protocol.target) == (trials, plateau, target)


@pytest.mark.parametrize(
    ("control", "line"),
    [
        (0.0, "is told apart from the others and the control on validation after 3 of at most 12 seeds, at 95% over"),
        (1.0, "is not told apart from the control on validation after 12 of at most 12 seeds, at 95% over all looks."),
    ],
)
def test_the_board_says_whether_further_seeds_have_told_the_winner_apart(storage, control, line):
    def score(record):
        noise = 0.1 * share(record.trial, record.seed)
        return noise + (control if record.phase == "control" else 1.0)

    found, _ = board(storage, score=score, trials=3, finalists=1, seeds=3, most_seeds=12)
    assert line in found.verdicts[0].seeds_added
    assert found.verdicts[0].seeds_added in as_markdown(found.rows, found.verdicts)


def test_nothing_is_said_of_seeds_where_none_were_to_be_added(storage):
    assert board(storage, trials=3)[0].verdicts[0].seeds_added is None
