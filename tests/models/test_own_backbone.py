"""CONTRIBUTING's example of adding a backbone: one file, one line that names it, and this test."""

import pytest

from bissl_ray.config.names import BACKBONES
from bissl_ray.config.settings import Settings
from bissl_ray.errors import BadInputError
from bissl_ray.models import backbone_names, build_backbone, check_twice_differentiable
from tests.models.own_backbone import PATCH, Patches
from tests.training.small_trial import order, run, saved_models, write_start

FACTS = BACKBONES.pop("patches")  # registered by the import; other tests go through all names


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(BACKBONES, "patches", FACTS)


def test_it_is_known_by_its_name_and_has_second_derivatives():
    assert "patches" in backbone_names()
    assert isinstance(build_backbone("patches", image_size=16), Patches)
    check_twice_differentiable("patches", 16)


def test_what_it_can_take_is_checked_with_the_settings():
    with pytest.raises(ValueError, match=f"a multiple of {PATCH}, the side of this backbone's patches: 12 or 16"):
        Settings(backbone="patches", image_size=14)
    with pytest.raises(BadInputError, match="expected a multiple of 4"):
        build_backbone("patches", image_size=14)


def test_a_part_that_it_lacks_has_no_weight():
    with pytest.raises(ValueError, match="parts of that backbone only: stem, layer1"):
        Settings(backbone="patches", proximity_weight_layer2=0.1)


def test_it_goes_from_head_to_bissl_to_fine_tuning(tmp_path):
    chosen = {"backbone": "patches", "proximity_weight_layer1": 0.05}
    write_start(tmp_path, **chosen)
    what = order(tmp_path, **chosen)
    run(what)
    backbones = [name for name in saved_models(what) if "/backbone/" in name]
    assert {name.split("/")[-1].split(".")[0] for name in backbones} == {"embed", "mix"}
