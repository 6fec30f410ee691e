"""Settings that name code elsewhere: what is wrong is said as for any other choice, and new names can be searched."""

import pytest

from bissl_ray.config import SearchSpace
from bissl_ray.config.names import PRETEXTS, SOLVERS
from bissl_ray.config.settings import Settings
from bissl_ray.errors import BadInputError

NAMES = "'cg', 'layerwise_cg', 'minres', 'neumann', 'nystrom', 'unrolled', 'f2sa', 'soba', 'sama' or 'identity'"


def space(**sections):
    return SearchSpace.model_validate({"dataset": "digits", "protocol": {"trials": 1}, **sections})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("cgg", f"found 'cgg', expected {NAMES}; did you mean 'cg'?"),
        ("Steepest", f"found 'Steepest', expected {NAMES}"),
        (5, f"found 5, expected {NAMES}"),
        (None, f"found nothing (null), expected {NAMES}"),
        (["cg"], f"found a list, expected {NAMES}"),
    ],
)
def test_a_wrong_name_is_told_the_right_ones(value, message):
    with pytest.raises(BadInputError) as caught:
        space().settings({"solver": value})
    assert str(caught.value) == f"settings of a trial: solver: {message}"


@pytest.mark.parametrize(("setting", "table"), [("solver", SOLVERS), ("pretext", PRETEXTS)])
def test_a_new_line_can_be_fixed_searched_and_run(setting, table, monkeypatch):
    with pytest.raises(ValueError, match="found 'own', expected"):
        space(fixed={setting: "own"})
    monkeypatch.setitem(table, "own", "somewhere:own")
    assert getattr(space(fixed={setting: "own"}).settings({}), setting) == "own"
    choices = [Settings.model_fields[setting].default, "own"]
    searched = space(parameters={setting: {"type": "categorical", "choices": choices}})
    assert getattr(searched.settings({setting: "own"}), setting) == "own"
    with pytest.raises(ValueError, match="found float, expected categorical"):
        space(parameters={setting: {"type": "float", "low": 0.0, "high": 1.0}})


def test_a_trials_settings_are_those_of_both_levels_with_the_models_first():
    fields = list(Settings.model_fields)
    order = ["backbone", "alternations", "lower_lr", "upper_lr", "proximity_weight", "solver", "divergence_factor"]
    assert sorted(order, key=fields.index) == order
