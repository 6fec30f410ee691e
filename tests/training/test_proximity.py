"""From the settings of the parts to one proximity weight per parameter tensor."""

import pytest
import torch

from bissl_ray.config import Settings
from bissl_ray.models import build_backbone
from bissl_ray.training.curvature import proximity_weights
from tests.training.small_trial import assert_bit_equal, order, renamed, run, saved_models, write_start


def by_part(**changes):
    """The weight of each part of a ResNet-18, and whether all tensors of a part have the same."""
    with torch.device("meta"):
        backbone = build_backbone("resnet18")
    weights = proximity_weights(Settings(backbone="resnet18", **changes), backbone)
    assert isinstance(weights, tuple)
    pairs = set(zip(backbone.parameter_parts(), weights, strict=True))
    assert len(pairs) == 5
    return dict(pairs)


def test_one_number_stays_one_number():
    backbone = build_backbone("smallconv")
    assert proximity_weights(Settings(backbone="smallconv", proximity_weight=0.0), backbone) == 0.0
    same = {f"proximity_weight_{part}": 0.5 for part in backbone.parts}
    assert proximity_weights(Settings(backbone="smallconv", **same), backbone) == 0.5


def test_base_decay_and_a_parts_own_weight():
    assert by_part(proximity_weight=0.8, proximity_decay=0.5) == pytest.approx(
        {"stem": 0.8, "layer1": 0.4, "layer2": 0.2, "layer3": 0.1, "layer4": 0.05}
    )
    # Its own weight takes a part's place and leaves the others theirs; 0 is a weight.
    assert by_part(
        proximity_weight=3.0, proximity_decay=10.0, proximity_weight_stem=0.0, proximity_weight_layer3=7.0
    ) == pytest.approx({"stem": 0.0, "layer1": 30.0, "layer2": 300.0, "layer3": 7.0, "layer4": 30000.0})


@pytest.mark.slow
def test_a_trial_holds_each_part_with_its_own_weight(tmp_path):
    write_start(tmp_path)

    def aligned(name, **changes):
        what = renamed(order(tmp_path, stages=("bissl",), solver="identity", **changes), name)
        run(what)
        return saved_models(what)

    alike = {f"proximity_weight_{part}": 0.1 for part in ("stem", "layer1", "layer2", "layer3")}
    one = aligned("one", proximity_weight=0.1)
    assert_bit_equal(aligned("parts", proximity_weight=5.0, **alike), one)
    pulled = aligned("pulled", proximity_weight=0.1, proximity_weight_stem=100.0)
    assert not torch.equal(pulled["aligned/backbone/stem.0.weight"], one["aligned/backbone/stem.0.weight"])
