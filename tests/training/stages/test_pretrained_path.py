"""A cached pretraining is found again by everything that it depends on, and by nothing else."""

import pytest

from bissl_ray.config.settings import Settings
from bissl_ray.training.stages.pretrain import pretrained_path
from tests.training.small_trial import settings

DECIDE = {
    "backbone": "resnet18",
    "pretext": "byol",
    "image_size": 16,
    "cache_side": 64,
    "batch_norm": "per_worker",
    "projector_width": 17,
    "projector_output": 9,
    "temperature": 0.4,
    "target_momentum": 0.9,
    "target_schedule": "cosine",
    "vicreg_similarity": 1.0,
    "vicreg_variance": 1.0,
    "vicreg_covariance": 2.0,
    "barlow_redundancy": 1.0,
    "barlow_scale": 1.0,
    "exclude_bias_and_norm": False,
    "precision": "bfloat16",
    "pretrain_epochs": 4,
    "pretrain_lr": 0.6,
    "pretrain_momentum": 0.8,
    "pretrain_weight_decay": 0.1,
    "pretrain_batch": 30,
    "pretrain_warmup": 0,
}


def path(**changes):
    return pretrained_path(settings(**changes), "digits", "abc", 0)


def test_the_same_question_has_the_same_file():
    assert path() == path()
    assert path().startswith("pretrained/digits-")
    assert path().endswith(".pt")


@pytest.mark.parametrize("name", sorted(DECIDE))
def test_it_changes_with_what_pretraining_depends_on(name):
    assert getattr(settings(), name) != DECIDE[name]
    assert path(**{name: DECIDE[name]}) != path()


def test_it_changes_with_nothing_else():
    others = {
        "solver": "neumann",
        "lower_optimizer": "sgd",
        "clip_norm": None,
        "curvature": "gauss_newton",
        "curvature_products": "recompute",
        "reuse_solution": True,
        "lower_memory": "blocks",
        "replay": "auto",
        "compile": "auto",
        "augment": "auto",
        "curvature_batch": 8,
        "cache_gib": 1.0,
        "objective": "top5",
        "detector": "fpn",
        "detection_crop": 0.5,
        "finetune_layer_decay": 0.5,
        "method": "joint",
        "finetune_part": "head",
        "finetune_from": "upper",
        "explore_by": "lower_probe",
        "patience": 3,
        "exif_orientation": False,  # which the fingerprint says, where there are image files
        **dict.fromkeys(("proximity_weight_stem", *(f"proximity_weight_layer{i}" for i in (1, 2, 3))), 0.5),
    }
    # Smallconv, which these settings name, has no such stage.
    not_for_smallconv = "proximity_weight_layer4"
    for name in Settings.model_fields:
        if name not in {*DECIDE, *others, not_for_smallconv}:
            share = name.endswith("momentum") or name in ("cg_tolerance", "collapse_std")
            others[name] = 0.5 if share else getattr(settings(), name) + 2
    assert {*others, *DECIDE, not_for_smallconv} == set(Settings.model_fields)
    assert all(getattr(settings(), name) != value for name, value in others.items())
    assert path(**others) == path()


def test_it_changes_with_the_data_and_the_seed():
    paths = {
        pretrained_path(settings(), "digits", "abc", 0),
        pretrained_path(settings(), "digits", "abd", 0),
        pretrained_path(settings(), "digits", "abc", 1),
        pretrained_path(settings(), "cars", "abc", 0),
    }
    assert len(paths) == 4
