"""Search spaces: the contract's example, inheritance, the shipped files, points to settings, round trips."""

import json
from pathlib import Path

import pytest

from bissl_ray.config import (
    CategoricalParameter,
    FloatParameter,
    IntParameter,
    Protocol,
    SearchSpace,
    load_search_space,
    resource_dir,
    to_yaml,
)
from bissl_ray.errors import BadInputError

CONTRACT = """\
# search_spaces/cars.yaml
dataset: cars
extends: classification
parameters:
  lower_lr:         {type: float, low: 0.1,    high: 4.8, log: true}
  upper_lr:         {type: float, low: 1.0e-3, high: 0.1, log: true}
  cg_iterations:    {type: int,   low: 0,      high: 10}
  proximity_weight: {type: float, low: 1.0e-4, high: 10,  log: true}
fixed: {backbone: resnet50, pretext: simclr, image_size: 96}
known_good:
  - {lower_lr: 1.0, upper_lr: 0.035, cg_iterations: 5, proximity_weight: 0.001, damping: 10}
"""


def test_contract_example_loads(tmp_path: Path) -> None:
    path = tmp_path / "cars.yaml"
    path.write_text(CONTRACT)
    space = load_search_space(path)
    assert space.dataset == "cars"
    assert space.parameters["lower_lr"] == FloatParameter(type="float", low=0.1, high=4.8, log=True)
    assert space.parameters["cg_iterations"] == IntParameter(type="int", low=0, high=10)
    assert space.parameters["upper_weight_decay"].type == "float", "inherited from classification"
    assert space.sources["parameters.lower_lr"] == str(path)
    assert space.sources["parameters.damping"] == "search_spaces/base.yaml"
    settings = space.settings(space.known_good[0])
    assert (settings.upper_lr, settings.damping, settings.backbone) == (0.035, 10.0, "resnet50")


def test_childs_word_wins_key_by_key(tmp_path: Path) -> None:
    (tmp_path / "grandparent.yaml").write_text(
        "dataset: one\n"
        "parameters:\n"
        "  lower_lr: {type: float, low: 0.1, high: 1, log: true}\n"
        "  upper_lr: {type: float, low: 0.1, high: 1}\n"
        "  damping: {type: float, low: 1, high: 2}\n"
        "fixed: {cg_iterations: 3, lower_steps: 7, upper_steps: 9}\n"
        "known_good: [{lower_lr: 0.5}]\n"
        "protocol: {trials: 7, seeds: 3}\n"
    )
    (tmp_path / "parent.yaml").write_text("extends: grandparent.yaml\nfixed: {lower_steps: 0b1000}\n")
    (tmp_path / "child.yaml").write_text(
        "dataset: two\n"
        "extends: parent\n"
        "parameters:\n"
        "  lower_lr: {type: float, low: 0.3, high: 3}\n"
        "  cg_iterations: {type: categorical, choices: [0, 5]}\n"
        "fixed: {damping: 0}\n"
        "known_good: []\n"
        "protocol: {seeds: 9}\n"
    )
    space = load_search_space(tmp_path / "child.yaml", {"protocol": {"grace": 4}, "fixed": {"upper_steps": 2}})
    assert space.dataset == "two"
    assert space.parameters == {
        "lower_lr": FloatParameter(type="float", low=0.3, high=3.0, log=False),
        "upper_lr": FloatParameter(type="float", low=0.1, high=1.0),
        "cg_iterations": CategoricalParameter(type="categorical", choices=[0, 5]),
    }
    assert space.fixed == {"lower_steps": 8, "upper_steps": 2, "damping": 0}
    assert space.known_good == []
    assert space.protocol == Protocol(trials=7, seeds=9, grace=4)
    assert {key: Path(label).name for key, label in space.sources.items()} == {
        "dataset": "child.yaml",
        "parameters.lower_lr": "child.yaml",
        "parameters.upper_lr": "grandparent.yaml",
        "parameters.cg_iterations": "child.yaml",
        "fixed.lower_steps": "parent.yaml",
        "fixed.upper_steps": "command line",
        "fixed.damping": "child.yaml",
        "known_good": "child.yaml",
        "protocol.trials": "grandparent.yaml",
        "protocol.seeds": "child.yaml",
        "protocol.grace": "command line",
    }


def test_cycle_through_two_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("extends: b.yaml\n")
    (tmp_path / "b.yaml").write_text("# b\nextends: a.yaml\n")
    with pytest.raises(BadInputError, match=r"b.yaml:2: extends: found a cycle, .*a.yaml -> .*b.yaml -> .*a.yaml;"):
        load_search_space(tmp_path / "a.yaml")


def test_a_files_own_name_may_be_that_of_the_shipped_space_it_extends(tmp_path: Path) -> None:
    (tmp_path / "digits.yaml").write_text("extends: digits\nprotocol: {trials: 3}\n")
    space = load_search_space(tmp_path / "digits.yaml")
    assert space.protocol.trials == 3
    assert space.parameters == load_search_space("digits").parameters


@pytest.mark.parametrize("written", ["1e-3", "1.0e-3", "1E-3", ".001", "+1e-03"])
def test_powers_of_ten_are_numbers(tmp_path: Path, written: str) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(
        f"dataset: d\nparameters:\n  upper_lr: {{type: float, low: {written}, high: 1e5}}\n"
        f"fixed: {{damping: {written}}}\n"
    )
    space = load_search_space(path)
    assert space.parameters["upper_lr"] == FloatParameter(type="float", low=0.001, high=100000.0)
    assert space.settings({}).damping == 0.001


def test_known_good_points_of_another_pretext_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    points = "[{lower_lr: 1}, {pretext: byol, lower_lr: 2}, {lower_lr: 3, pretext: simclr}]"
    path.write_text(f"extends: cars\nknown_good: {points}\n")
    assert load_search_space(path).known_good == [{"lower_lr": 1}, {"lower_lr": 3}]
    byol = load_search_space(path, {"fixed": {"pretext": "byol"}})
    assert byol.known_good == [{"lower_lr": 1}, {"lower_lr": 2}]
    printed = tmp_path / "printed.yaml"
    printed.write_text(to_yaml(byol))
    assert load_search_space(printed).known_good == byol.known_good


def test_a_point_of_another_pretext_is_checked_like_the_others(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text("extends: cars\nknown_good:\n  - {lower_lr: 1}\n  - {pretext: byol, upper_lr: 7}\n")
    with pytest.raises(BadInputError, match=r"space.yaml:4: known_good\[1\].upper_lr: found 7"):
        load_search_space(path)


def test_settings_take_the_point_over_what_is_fixed() -> None:
    space = load_search_space("cars")
    settings = space.settings({"image_size": 64, "cg_iterations": 0, "clip_norm": None})
    assert (settings.image_size, settings.cg_iterations, settings.clip_norm) == (64, 0, None)
    assert settings.backbone == "resnet50"
    with pytest.raises(
        BadInputError,
        match=r"cg_iteration: found unknown key 'cg_iteration', .*; did you mean 'cg_iterations'",
    ):
        space.settings({"cg_iteration": 3})
    with pytest.raises(BadInputError, match=r"lower_momentum: found 1.5, expected a value less than 1"):
        space.settings({"lower_momentum": 1.5})


def test_complete_moves_defaults_into_the_range() -> None:
    space = SearchSpace.model_validate(
        {
            "dataset": "d",
            "parameters": {
                "lower_lr": {"type": "float", "low": 2.0, "high": 3.0},
                "upper_lr": {"type": "float", "low": 0.001, "high": 0.002},
                "lower_steps": {"type": "int", "low": 1, "high": 50},
                "solver": {"type": "categorical", "choices": ["neumann", "identity"]},
                "pretext": {"type": "categorical", "choices": ["byol", "simclr"]},
            },
        }
    )
    assert space.complete({"lower_lr": 2.5, "damping": 3}) == {
        "lower_lr": 2.5,
        "damping": 3,
        "upper_lr": 0.002,
        "lower_steps": 20,
        "solver": "neumann",
        "pretext": "simclr",
    }


@pytest.mark.parametrize("name", ["cars", "digits"])
def test_json_and_yaml_round_trips(tmp_path: Path, name: str) -> None:
    space = load_search_space(name)
    assert SearchSpace.model_validate_json(space.model_dump_json()) == space
    assert json.loads(space.model_dump_json())["sources"]["dataset"] == f"search_spaces/{name}.yaml"
    printed = tmp_path / "printed.yaml"
    printed.write_text(to_yaml(space))
    assert load_search_space(printed).to_mapping() == space.to_mapping()


def test_printed_yaml_names_the_file_of_every_key() -> None:
    lines = [line.split("  # ") for line in to_yaml(load_search_space("cars")).splitlines()]
    sources = {text.split(":")[0].strip(): source for text, *rest in lines for source in rest}
    assert sources["damping"] == "search_spaces/base.yaml"
    assert sources["finetune_lr"] == "search_spaces/classification.yaml"
    assert sources["lower_lr"] == "search_spaces/cars.yaml"
    assert sources["sampler"] == "default"


def test_shipped_files_lie_beside_the_package() -> None:
    assert (resource_dir("search_spaces") / "base.yaml").is_file()
