"""The board says that exploring ended before its last trial, and why."""

import pytest

from bissl_ray.config.data_choice import DataChoice
from bissl_ray.config.requests import SweepRequest
from bissl_ray.leaderboard import as_markdown, read_board
from bissl_ray.sweep.run import _extended
from tests.search.small_space import space
from tests.search.whole_sweep import WholeSweep
from tests.sweep.stored_sweep import write_sweep


def board(storage, stop_after=None, **protocol):
    searched = space(protocol={"trials": 60, **protocol})

    def spend(sweep):
        if stop_after is not None and len(sweep.records) >= stop_after:
            sweep.planner.end_exploring("the budget is spent")

    sweep = WholeSweep(searched).run(spend)
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
