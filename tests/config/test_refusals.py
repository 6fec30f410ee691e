"""Every bad search space file is refused in one line that names file, line, key, and what was expected."""

from pathlib import Path

import pytest

from bissl_ray.config import load_search_space
from bissl_ray.errors import BadInputError

GOOD = "dataset: d\nparameters:\n  upper_lr: {type: float, low: 0.1, high: 0.2}\n"

# text of the file, line of the refusal, words that the line must hold
BAD_FILES = {
    "unknown top-level key": (GOOD + "parametres: {}\n", 4, ["'parametres'", "'parameters'"]),
    "unknown setting searched": (
        "dataset: d\nparameters:\n  lower_lrr: {type: float, low: 0.1, high: 0.2}\n",
        3,
        ["parameters.lower_lrr", "'lower_lr'"],
    ),
    "unknown setting fixed": (GOOD + "fixed:\n  dampening: 3\n", 5, ["fixed.dampening", "'damping'"]),
    "unknown setting, nothing near": (
        GOOD + "fixed:\n  qqq: 3\n",
        5,
        ["'qqq'", "expected the name of a training setting, as `bissl-ray train --dry-run` lists them"],
    ),
    "unknown backbone": (
        GOOD + "fixed:\n  backbone: resnet_50\n",
        5,
        ["fixed.backbone", "found 'resnet_50'", "timm/NAME", "did you mean 'resnet50'"],
    ),
    "backbone that is no name": (GOOD + "fixed:\n  backbone: 50\n", 5, ["found 50, expected text"]),
    "a choice that is no backbone": (
        "dataset: d\nparameters:\n  backbone:\n    type: categorical\n    choices: [resnet18, timm/]\n",
        5,
        ["backbone.choices[1]", "found 'timm/'"],
    ),
    "a range of backbones": (
        "dataset: d\nparameters:\n  backbone:\n    type: int\n    low: 1\n    high: 2\n",
        4,
        ["expected categorical"],
    ),
    "images that are no whole patches": (
        GOOD + "fixed:\n  backbone: vit_b_16\n  image_size: 100\n",
        6,
        ["found image_size = 100 with backbone = 'vit_b_16'", "a multiple of 16", "96 or 112"],
    ),
    "unknown parameter key": (
        "dataset: d\nparameters:\n  upper_lr:\n    type: float\n    low: 0.1\n    hgih: 0.2\n",
        6,
        ["parameters.upper_lr.hgih", "'high'"],
    ),
    "unknown parameter type": (
        "dataset: d\nparameters:\n  upper_lr:\n    low: 0.1\n    high: 1\n    type: flaot\n",
        6,
        ["parameters.upper_lr.type", "'flaot'", "did you mean 'float'"],
    ),
    "no parameter type": (
        "dataset: d\nparameters:\n  upper_lr: {low: 0.1, high: 1}\n",
        3,
        ["found no key 'type'", "float, int or categorical"],
    ),
    "no bound": (
        "dataset: d\nparameters:\n  upper_lr: {type: float, low: 0.1}\n",
        3,
        ["found no key 'high'"],
    ),
    "low above high": (
        "dataset: d\nparameters:\n  upper_lr:\n    type: float\n    low: 3\n    high: 0.2\n",
        5,
        ["upper_lr.low", "found 3 above high 0.2", "swap"],
    ),
    "low equal to high": (
        "dataset: d\nparameters:\n  upper_lr:\n    type: float\n    low: 3\n    high: 3\n",
        6,
        ["low equal to high", "fixed"],
    ),
    "logarithm of zero": (
        "dataset: d\nparameters:\n  cg_iterations: {type: int, low: 0, high: 9, log: true}\n",
        3,
        ["cg_iterations.low", "found 0 with log: true", "above 0"],
    ),
    "step of zero": (
        "dataset: d\nparameters:\n  cg_iterations:\n    type: int\n    low: 0\n    high: 9\n    step: 0\n",
        7,
        ["cg_iterations.step", "found 0", "greater than or equal to 1"],
    ),
    "step that is no whole number": (
        "dataset: d\nparameters:\n  cg_iterations: {type: int, low: 0, high: 9, step: 1.5}\n",
        3,
        ["cg_iterations.step", "found 1.5", "a whole number"],
    ),
    "steps on a logarithmic scale": (
        "dataset: d\nparameters:\n  cg_iterations:\n    {type: int, low: 1, high: 9,\n    log: true,\n    step: 2}\n",
        6,
        ["cg_iterations.step", "found 2 with log: true", "Optuna", "drop step or log"],
    ),
    "steps that miss high": (
        "dataset: d\nparameters:\n  cg_iterations:\n    type: int\n    low: 1\n    high: 8\n    step: 3\n",
        6,
        ["cg_iterations.high", "found 8", "low = 1", "step = 3", "the nearest high is 7"],
    ),
    "steps between real numbers": (
        "dataset: d\nparameters:\n  upper_lr: {type: float, low: 0, high: 1, step: 1}\n",
        3,
        ["upper_lr.step", "unknown key 'step'", "type, low, high, log"],
    ),
    "known-good value between two steps": (
        "dataset: d\nparameters:\n  cg_iterations: {type: int, low: 0, high: 10, step: 2}\n"
        "known_good:\n- {cg_iterations: 5}\n",
        5,
        ["known_good[0].cg_iterations", "found 5", "0 to 10 in steps of 2", "nearest: 4"],
    ),
    "known-good value beside the steps": (
        "dataset: d\nparameters:\n  cg_iterations: {type: int, low: 0, high: 10, step: 2}\n"
        "known_good:\n- {cg_iterations: 12}\n",
        5,
        ["known_good[0].cg_iterations", "found 12", "0 to 10 in steps of 2", "widen the range"],
    ),
    "known-good value that is no whole number": (
        "dataset: d\nparameters:\n  damping: {type: int, low: 0, high: 10}\nknown_good:\n- {damping: 2.5}\n",
        5,
        ["known_good[0].damping", "found 2.5", "0 to 10 in steps of 1", "nearest: 2"],
    ),
    "beyond the setting's own bounds": (
        "dataset: d\nparameters:\n  lower_momentum:\n    type: float\n    low: 0.5\n    high: 1.5\n",
        6,
        ["lower_momentum.high", "found 1.5", "less than 1"],
    ),
    "real bounds for an int": (
        "dataset: d\nparameters:\n  cg_iterations: {type: int, low: 0.5, high: 3}\n",
        3,
        ["cg_iterations.low", "found 0.5", "whole number"],
    ),
    "float parameter for a whole-number setting": (
        "dataset: d\nparameters:\n  cg_iterations: {type: float, low: 1, high: 3}\n",
        3,
        ["cg_iterations.type", "found float", "int or categorical"],
    ),
    "float parameter for a named choice": (
        "dataset: d\nparameters:\n  solver: {type: float, low: 1, high: 3}\n",
        3,
        ["solver.type", "expected categorical"],
    ),
    "int parameter for true or false": (
        "dataset: d\nparameters:\n  exclude_bias_and_norm: {type: int, low: 0, high: 1}\n",
        3,
        ["exclude_bias_and_norm.type", "expected categorical"],
    ),
    "choice that the setting can't take": (
        "dataset: d\nparameters:\n  solver:\n    type: categorical\n    choices:\n    - cg\n    - neuman\n",
        7,
        ["solver.choices[1]", "'neuman'", "did you mean 'neumann'"],
    ),
    "one choice": (
        "dataset: d\nparameters:\n  solver: {type: categorical, choices: [cg]}\n",
        3,
        ["found 1, expected two or more", "fixed"],
    ),
    "a choice twice": (
        "dataset: d\nparameters:\n  solver: {type: categorical, choices: [cg, neumann, cg]}\n",
        3,
        ["solver.choices[2]", "'cg' again"],
    ),
    "fixed and searched": (
        GOOD + "fixed:\n  upper_lr: 0.1\n",
        5,
        ["fixed.upper_lr", "under parameters as well"],
    ),
    "searched twice over": (
        GOOD.replace("upper_lr", "finetune_lr")
        + "finetune_parameters:\n  finetune_lr: {type: float, low: 0.1, high: 0.2}\n",
        5,
        ["finetune_parameters.finetune_lr", "under parameters as well"],
    ),
    "another stage under finetune_parameters": (
        GOOD + "finetune_parameters:\n  lower_lr: {type: float, low: 0.1, high: 0.2}\n",
        5,
        ["finetune_parameters.lower_lr", "starts with finetune_"],
    ),
    "wrong fixed value": (
        GOOD + "fixed:\n  backbone: resnet51\n",
        5,
        ["'resnet51'", "did you mean", "'resnet50'"],
    ),
    "fixed value out of bounds": (
        GOOD + "fixed: {damping: -1}\n",
        4,
        ["found -1", "greater than or equal to 0"],
    ),
    "weights in a list": (
        GOOD + "fixed: {proximity_weight: [1, 2]}\n",
        4,
        ["found a list", "expected a number", "proximity_weight_stem"],
    ),
    "upper case": (GOOD + "fixed: {solver: CG}\n", 4, ["found 'CG'", "did you mean 'cg'"]),
    "true for a number": (GOOD + "fixed: {damping: true}\n", 4, ["found true", "expected a number"]),
    "null where null is no value": (GOOD + "fixed: {damping: }\n", 4, ["found nothing (null)", "a number"]),
    "not a number": (GOOD + "fixed: {damping: .nan}\n", 4, ["found nan", "finite"]),
    "infinite bound": (
        "dataset: d\nparameters:\n  upper_lr: {type: float, low: 0.1, high: .inf}\n",
        3,
        ["upper_lr.high", "found inf", "finite"],
    ),
    "number in quotes": (
        GOOD + "fixed: {damping: '1e-3'}\n",
        4,
        ["found '1e-3'", "a number", "without quotes"],
    ),
    "bound in quotes": (
        "dataset: d\nparameters:\n  upper_lr: {type: float, low: '0.1', high: 1}\n",
        3,
        ["upper_lr.low", "without quotes"],
    ),
    "known-good point with an unknown key": (
        GOOD + "known_good:\n  - upper_lr: 0.1\n    uper_momentum: 0.5\n",
        6,
        ["known_good[0].uper_momentum", "'upper_momentum'"],
    ),
    "known-good point outside the range": (
        GOOD + "known_good:\n  - {upper_lr: 0.1}\n  - {upper_lr: 0.3}\n",
        6,
        ["known_good[1].upper_lr", "found 0.3", "0.1 to 0.2"],
    ),
    "known-good choice that is not searched": (
        "dataset: d\nparameters:\n  solver: {type: categorical, choices: [cg, neumann]}\n"
        "known_good:\n- {solver: identity}\n",
        5,
        ["known_good[0].solver", "'identity'", "one of 'cg', 'neumann'"],
    ),
    "known-good value that the setting can't take": (
        GOOD + "known_good: [{damping: -2}]\n",
        4,
        ["known_good[0].damping", "found -2"],
    ),
    "known-good point that is no mapping": (
        GOOD + "known_good: [3]\n",
        4,
        ["known_good[0]", "found 3", "mapping"],
    ),
    "known-good that is no list": (GOOD + "known_good: {damping: 2}\n", 4, ["known_good", "a list"]),
    "unknown key of the protocol": (GOOD + "protocol:\n  seed: 1\n  trails: 3\n", 6, ["trails", "'trials'"]),
    "one seed": (
        GOOD + "protocol:\n  seeds: 1\n",
        5,
        ["protocol.seeds", "found 1", "greater than or equal to 2"],
    ),
    "unknown sampler": (GOOD + "protocol: {sampler: tbe}\n", 4, ["'tbe'", "did you mean 'tpe'"]),
    "weight for a stage that the backbone doesn't have": (
        GOOD + "fixed:\n  backbone: smallconv\n  proximity_weight_layer4: 0\n",
        6,
        ["fixed.proximity_weight_layer4", "= 0", "'smallconv'", "stem, layer1, layer2, layer3;"],
    ),
    "searched weight for a stage that one of the searched backbones doesn't have": (
        "dataset: d\nparameters:\n  proximity_weight_layer4: {type: float, low: 0.5, high: 1}\n"
        "  backbone: {type: categorical, choices: [resnet18, smallconv]}\n",
        3,
        ["parameters.proximity_weight_layer4", "= 0.5", "'smallconv'", "stem, layer1, layer2, layer3;"],
    ),
    "known-good backbone without a stage that has a weight": (
        GOOD + "fixed: {proximity_weight_layer4: 0.1}\nknown_good:\n  - {backbone: smallconv}\n",
        6,
        ["known_good[0].backbone", "proximity_weight_layer4 = 0.1", "'smallconv'"],
    ),
    "stage that no backbone has": (
        GOOD + "fixed:\n  proximity_weight_layer5: 0.1\n",
        5,
        ["'proximity_weight_layer5'", "did you mean", "'proximity_weight_layer4'"],
    ),
    "negative weight of a stage": (
        GOOD + "fixed: {proximity_weight_stem: -0.1}\n",
        4,
        ["found -0.1", "greater than or equal to 0"],
    ),
    "decay of zero": (GOOD + "fixed: {proximity_decay: 0}\n", 4, ["found 0", "greater than 0"]),
    "curvature batch above the lower batch": (
        GOOD + "fixed:\n  lower_batch: 64\n  curvature_batch: 128\n",
        6,
        ["curvature_batch = 128", "lower_batch = 64", "at most 64"],
    ),
    "searched curvature batch above the smallest lower batch": (
        "dataset: d\nparameters:\n  lower_batch: {type: int, low: 64, high: 256}\n"
        "  curvature_batch: {type: int, low: 16, high: 128}\n",
        4,
        ["curvature_batch = 128", "lower_batch = 64"],
    ),
    "parts of one image": (
        GOOD + "fixed: {curvature_batch: 64, curvature_chunks: 64}\n",
        4,
        ["curvature_chunks = 64", "curvature_batch = 64", "at most 32 parts"],
    ),
    "unknown precision": (GOOD + "fixed: {precision: float16}\n", 4, ["'float16'", "did you mean", "'bfloat16'"]),
    "key twice": (GOOD + "fixed:\n  damping: 1\n  damping: 2\n", 6, ["'damping' again", "line 5"]),
    "top-level key twice": (GOOD + "dataset: e\n", 4, ["'dataset' again", "line 1"]),
    "bracket left open": (GOOD + "fixed: {damping: 1\nprotocol: {}\n", 5, ["not YAML at column"]),
    "tab": ("dataset: d\nparameters:\n\tupper_lr: 3\n", 3, ["tab at column 1", "spaces"]),
    "empty file": ("# nothing but a comment\n", 1, ["empty file", "dataset"]),
    "a list": ("- dataset: d\n", 1, ["found a list", "mapping"]),
    "a word": ("cars\n", 1, ["found 'cars'", "mapping"]),
    "section that is no mapping": ("dataset: d\nparameters: [upper_lr]\n", 2, ["found a list", "a mapping"]),
    "parameter that is no mapping": (
        "dataset: d\nparameters:\n  upper_lr: 0.1\n",
        3,
        ["found 0.1", "a mapping"],
    ),
    "no dataset": (GOOD.removeprefix("dataset: d\n"), 1, ["found no key 'dataset'"]),
    "dataset that can't name a folder": (
        GOOD.replace("dataset: d", "dataset: a/b"),
        1,
        ["dataset", "'a/b'", "letters, digits"],
    ),
    "nothing to search": ("dataset: d\n", 1, ["nothing to search"]),
    "unknown parent": (
        GOOD + "extends: clasification\n",
        4,
        ["'clasification'", "did you mean 'classification'"],
    ),
    "parent that is no name": (GOOD + "extends: [base]\n", 4, ["extends", "found a list", "text"]),
    "itself as parent": (GOOD + "extends: bad.yaml\n", 4, ["cycle", "bad.yaml -> "]),
    "tag": (
        GOOD + "fixed: {damping: !!python/object:os.system 1}\n",
        4,
        ["the tag !!python/object:os.system", "delete the tag"],
    ),
    "date that is none": (GOOD + "fixed: {damping: 2024-13-45}\n", 4, ["'2024-13-45'", "a number"]),
    "anchor inside itself": (GOOD + "fixed: &a\n  damping: *a\n", 4, ["nested too deeply"]),
    "list as a key": (GOOD + "fixed:\n  [a]: 1\n", 5, ["expected a name"]),
}


@pytest.mark.parametrize(("text", "line", "words"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_names_line_and_expectation(tmp_path: Path, text: str, line: int, words: list[str]) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(BadInputError) as refused:
        load_search_space(path)
    message = str(refused.value)
    assert message.startswith(f"{path}:{line}: ")
    assert "\n" not in message
    assert "expected" in message or "not YAML" in message or "can't be read" in message
    for word in words:
        assert word in message


def test_good_file_is_not_refused(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    assert load_search_space(tmp_path / "good.yaml").dataset == "d"


def test_missing_file_lists_the_shipped_spaces() -> None:
    with pytest.raises(BadInputError, match=r"digist: no such search space.*cars, .*voc0712; did you mean 'digits'"):
        load_search_space("digist")


def test_unreadable_bytes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes("dataset: caf\xe9\n".encode("latin-1"))
    with pytest.raises(BadInputError, match="not UTF-8 at byte 12"):
        load_search_space(tmp_path / "latin.yaml")
    (tmp_path / "bell.yaml").write_bytes(b"dataset: \x07\n")
    with pytest.raises(BadInputError, match=r"bell\.yaml:1: found the character U\+0007, which YAML"):
        load_search_space(tmp_path / "bell.yaml")
    with pytest.raises(BadInputError, match="no such search space"):
        load_search_space(tmp_path)


def test_error_in_a_parent_names_the_parent(tmp_path: Path) -> None:
    (tmp_path / "parent.yaml").write_text("fixed:\n  damping: -1\n")
    (tmp_path / "child.yaml").write_text(GOOD + "extends: parent.yaml\nfixed: {damping: 1}\n")
    with pytest.raises(BadInputError) as refused:
        load_search_space(tmp_path / "child.yaml")
    assert str(refused.value).startswith(f"{tmp_path / 'parent.yaml'}:2: fixed.damping: found -1")


def test_overrides_are_refused_by_name() -> None:
    with pytest.raises(BadInputError, match=r"^command line: protocol.trials: found 0, expected a value greater"):
        load_search_space("cars", {"protocol": {"trials": 0}})
    with pytest.raises(BadInputError, match=r"^command line: fixed.backbon: found unknown key 'backbon'.*'backbone'"):
        load_search_space("cars", {"fixed": {"backbon": "resnet18"}})
    with pytest.raises(BadInputError, match=r"^command line: extends: "):
        load_search_space("cars", {"extends": "digits"})
