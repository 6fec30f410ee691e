"""Whole numbers searched in steps: what they range over, what is nearest, how they are written."""

from pathlib import Path
from typing import Any

import pytest

from bissl_ray.config import IntParameter, SearchSpace, load_search_space, to_yaml
from bissl_ray.config.parameters import FloatParameter
from bissl_ray.errors import BadInputError

SPACE = """\
dataset: d
parameters:
  lower_batch: {type: int, low: 64, high: 256, step: 64}
  cg_iterations: {type: int, low: 1, high: 10, step: 3}
"""


def parameter(low: int, high: int, step: int) -> IntParameter:
    return IntParameter(type="int", low=low, high=high, step=step)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "space.yaml").write_text(SPACE)
    return tmp_path / "space.yaml"


def test_every_value_is_a_whole_number_of_steps_above_low(path: Path) -> None:
    space = load_search_space(path)
    assert list(space.every_value("lower_batch")) == [64, 128, 192, 256]
    assert list(space.every_value("cg_iterations")) == [1, 4, 7, 10]
    assert space.largest("lower_batch") == 256
    assert list(parameter(3, 6, 1).values) == [3, 4, 5, 6]


@pytest.mark.parametrize(
    ("value", "nearest"),
    [(-3, 1), (1, 1), (2, 1), (2.5, 1), (2.6, 4), (3, 4), (5.5, 4), (8.5, 7), (8.6, 10), (10, 10), (11, 10), (None, 1)],
)
def test_nearest_lands_on_a_step(value: float | None, nearest: int) -> None:
    found = parameter(1, 10, 3).nearest(value)
    assert found == nearest and isinstance(found, int)


def test_a_default_moves_to_the_nearest_step(path: Path) -> None:
    # The defaults are 1024 and 5.
    assert load_search_space(path).complete({}) == {"lower_batch": 256, "cg_iterations": 4}


def test_a_real_default_moves_to_a_whole_number() -> None:
    searched = {"proximity_weight": {"type": "int", "low": 0, "high": 10, "step": 5}}
    weight = SearchSpace.model_validate({"dataset": "d", "parameters": searched}).complete({})["proximity_weight"]
    assert weight == 0 and isinstance(weight, int)


@pytest.mark.parametrize(
    ("value", "inside"),
    [(1, True), (4, True), (4.0, True), (10, True), (0, False), (2, False), (4.5, False), (13, False), ("4", False)],
)
def test_contains_values_on_a_step(value: Any, inside: bool) -> None:
    assert parameter(1, 10, 3).contains(value) == inside


def test_real_ranges_have_no_steps() -> None:
    wide = FloatParameter(type="float", low=0.5, high=2.0)
    assert [wide.nearest(value) for value in (0.1, 0.77, 3)] == [0.5, 0.77, 2.0]
    assert wide.contains(0.77) and not wide.contains(2.1)
    assert wide.span == "0.5 to 2.0"


def test_known_good_points_on_a_step_are_kept(path: Path) -> None:
    path.write_text(SPACE + "known_good:\n  - {cg_iterations: 7}\n")
    assert load_search_space(path).known_good == [{"cg_iterations": 7}]


def test_one_between_two_steps_is_refused_with_the_nearest(path: Path) -> None:
    path.write_text(SPACE + "known_good:\n  - {cg_iterations: 7}\n  - {cg_iterations: 5}\n")
    with pytest.raises(BadInputError) as refused:
        load_search_space(path)
    assert str(refused.value) == (
        f"{path}:7: known_good[1].cg_iterations: found 5, expected a value in the searched range, 1 to 10 in steps of "
        f"3 ({path}); change the point (nearest: 4) or the step"
    )


def test_yaml_and_json_carry_the_step(path: Path) -> None:
    space = load_search_space(path)
    text = to_yaml(space)
    assert "lower_batch: {type: int, low: 64, high: 256, log: false, step: 64}" in text
    assert SearchSpace.model_validate_json(space.model_dump_json()) == space
    path.write_text(text)
    assert load_search_space(path).to_mapping() == space.to_mapping()


def test_older_documents_go_by_ones() -> None:
    document = load_search_space("digits").model_dump(mode="json")
    assert document["parameters"]["cg_iterations"].pop("step") == 1
    space = SearchSpace.model_validate(document)
    assert space == load_search_space("digits")
    assert list(space.every_value("cg_iterations")) == [0, 1, 2, 3, 4, 5]


def test_a_logarithmic_range_may_say_that_it_goes_by_ones() -> None:
    assert IntParameter(type="int", low=1, high=100, log=True, step=1) == IntParameter(
        type="int", low=1, high=100, log=True
    )


@pytest.mark.parametrize(
    ("low", "high", "step", "fitting"),
    [(0, 9, 2, 8), (0, 11, 4, 12), (0, 9, 4, 8), (1, 10, 2, 9), (0, 3, 5, 5), (0, 1, 9, 9), (5, 7, 100, 105)],
)
def test_the_nearest_high_that_fits_is_named(path: Path, low: int, high: int, step: int, fitting: int) -> None:
    path.write_text(
        "dataset: d\nparameters:\n  cg_iterations:\n    type: int\n"
        f"    low: {low}\n    high: {high}\n    step: {step}\n"
    )
    with pytest.raises(BadInputError) as refused:
        load_search_space(path)
    assert str(refused.value) == (
        f"{path}:6: parameters.cg_iterations.high: found {high}, expected low = {low} plus a multiple of "
        f"step = {step}; the nearest high is {fitting}"
    )
    path.write_text(path.read_text().replace(f"high: {high}\n", f"high: {fitting}\n"))
    assert load_search_space(path).largest("cg_iterations") == fitting
