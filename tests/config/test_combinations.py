"""Settings that must fit together: in a trial's settings, and in all that a space can propose."""

from pathlib import Path
from typing import Any

import pytest

from bissl_ray.config import Settings, load_search_space
from bissl_ray.config.combinations import broken_combination
from bissl_ray.config.names import BACKBONES, PARTS, part_weight, parts_of
from bissl_ray.config.settings import NULL_MEANS
from bissl_ray.errors import BadInputError

PARENT = """\
dataset: d
parameters:
  upper_lr: {type: float, low: 0.1, high: 0.2}
fixed:
  proximity_weight_layer4: 0
"""


def test_every_backbone_has_stages_and_every_stage_a_setting() -> None:
    assert {part for backbone in (*BACKBONES, "timm/x") for part in parts_of(backbone)} == set(PARTS)
    settings = {part_weight(part) for part in PARTS}
    assert settings == {name for name in Settings.model_fields if name.startswith("proximity_weight_")}
    assert settings < NULL_MEANS.keys()


def test_settings_refuse_a_weight_for_a_missing_part_even_if_it_is_0() -> None:
    assert Settings(backbone="smallconv", proximity_weight_layer3=0.0).proximity_weight_layer3 == 0
    with pytest.raises(
        ValueError,
        match=r"proximity_weight_layer4 = 0\.0 with backbone = 'smallconv', expected .*: stem, layer1, layer2, layer3;",
    ):
        Settings(backbone="smallconv", proximity_weight_layer4=0.0)


@pytest.mark.parametrize(
    ("changes", "fits"),
    [
        ({"curvature_batch": 64}, True),
        ({"curvature_batch": 65}, False),
        ({"curvature_chunks": 32}, True),
        ({"curvature_chunks": 33}, False),
        ({"curvature_batch": 8, "curvature_chunks": 4}, True),
        ({"curvature_batch": 8, "curvature_chunks": 5}, False),
    ],
)
def test_the_curvature_batch_and_its_parts(changes: dict[str, int], fits: bool) -> None:
    values = {**Settings().model_dump(), "lower_batch": 64, **changes}
    assert (broken_combination({name: (value,) for name, value in values.items()}) is None) == fits


@pytest.mark.parametrize(
    ("changes", "fits"),
    [
        ({"damping": 0.0, "proximity_weight": 0.0}, False),
        ({"damping": 0.0, "proximity_weight_layer2": 0.0}, False),
        ({"damping": 1.0, "proximity_weight": 0.0}, True),
        ({"damping": 0.0, "proximity_weight": 0.5}, True),
        # layer4 would have the weight 0, but smallconv has none.
        (
            {"damping": 0.0, "proximity_weight": 0.0, "backbone": "smallconv"}
            | {part_weight(part): 0.5 for part in parts_of("smallconv")},
            True,
        ),
    ],
)
def test_damping_or_proximity_makes_m_positive_in_every_stage(changes: dict[str, Any], fits: bool) -> None:
    values = {**Settings().model_dump(), **changes}
    broken = broken_combination({name: (value,) for name, value in values.items()})
    assert (broken is None) == fits
    assert fits or "damping and the proximity weight of" in str(broken)


def test_a_parents_weight_for_a_stage_that_the_childs_backbone_lacks_names_the_parent(tmp_path: Path) -> None:
    (tmp_path / "parent.yaml").write_text(PARENT)
    child = tmp_path / "child.yaml"
    child.write_text("extends: parent.yaml\nfixed: {backbone: smallconv}\n")
    with pytest.raises(BadInputError) as refused:
        load_search_space(child)
    assert str(refused.value).startswith(f"{tmp_path / 'parent.yaml'}:5: fixed.proximity_weight_layer4: found ")
    child.write_text("extends: parent.yaml\nfixed: {backbone: smallconv, proximity_weight_layer4: null}\n")
    assert load_search_space(child).settings({}).proximity_weight_layer4 is None


def test_a_point_of_a_trial_is_refused_like_a_file(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(PARENT)
    space = load_search_space(path)
    assert space.settings({"backbone": "resnet18"}).proximity_weight_layer4 == 0
    with pytest.raises(BadInputError, match=r"^settings of a trial: proximity_weight_layer4: found .*'smallconv'"):
        space.settings({"backbone": "smallconv"})


def test_a_known_good_point_that_lacks_a_stages_weight_keeps_its_own_weight_there() -> None:
    searched = {"type": "float", "low": 0.01, "high": 10.0}
    either = {"type": "categorical", "choices": [16, None]}
    space = load_search_space(
        "digits",
        {"parameters": {"proximity_weight_stem": searched, "curvature_batch": either}, "fixed": {"lower_batch": 32}},
    )
    complete = space.complete({"proximity_weight": 0.3})
    assert complete["proximity_weight_stem"] == 0.3
    assert complete["curvature_batch"] is None
    assert space.complete({})["proximity_weight_stem"] == 0.01, "as near to the default of 0.001 as is searched"
    sizes = {"type": "int", "low": 8, "high": 32}
    narrow = load_search_space("digits", {"parameters": {"curvature_batch": sizes}})
    assert narrow.complete({"lower_batch": 32})["curvature_batch"] == 32
