"""A run ends its alternations when none of the last ones was better, wherever it is interrupted."""

import pytest

from bissl_ray.training.stages.patience import Patience
from tests.training.small_trial import (
    Reports,
    assert_ends_alike_wherever_stopped,
    order,
    run,
    save_always,
    saved_models,
    write_start,
)


def ended(most, *objectives):
    patience = Patience(most)
    return next((i for i, value in enumerate(objectives, start=1) if patience.ends(i, value)), None)


def test_so_many_in_a_row_without_a_better_one():
    assert ended(2, 0.1, 0.2, 0.2, 0.15) == 4, "as good is not better"
    assert ended(2, 0.1, 0.05, 0.2, 0.1, 0.3, 0.2, 0.1) == 7
    assert ended(1, 0.1, 0.2, 0.3) is None
    assert ended(None, *[0.1] * 50) is None
    assert ended(3, -3.0, -2.0, -2.5, -2.5, -2.5) == 5, "of an objective of which less is better, negated"


def test_it_goes_on_from_where_it_was_and_from_what_knew_nothing_of_it():
    patience, again = Patience(2), Patience(2)
    patience.ends(1, 0.5)
    patience.ends(2, 0.4)
    again.load_state_dict(patience.state_dict())
    assert again.ends(3, 0.4)
    again.load_state_dict({})
    assert not again.ends(4, 0.1)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["bissl", "joint"])
def test_a_real_trial_ends_early_and_saves_its_models(tmp_path, method):
    write_start(tmp_path)
    what = order(tmp_path, stages=("head", method), alternations=12, patience=1, method=method)
    reports = Reports()
    result = run(what, reports=reports)
    last = ended(1, *(row["objective"] for row in reports))
    assert last is not None, "else nothing was seen here: the objective rose to the end"
    assert len(reports) == result["alternations"] == last < 12
    assert saved_models(what)


@pytest.mark.slow
def test_interrupted_anywhere_it_ends_alike(tmp_path, monkeypatch):
    save_always(monkeypatch)
    write_start(tmp_path)
    whole = order(tmp_path, alternations=12, patience=1)
    reports = Reports()
    result = run(whole, reports=reports)
    aligned = sum(row["stage"] == "bissl" for row in reports)
    assert aligned < 12
    assert_ends_alike_wherever_stopped(whole, reports, result, (1, aligned - 1, aligned, len(reports)))
