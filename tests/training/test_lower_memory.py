"""The ways of a pretext step: how much memory each takes, which is chosen, and that a trial runs in it."""

import pytest

from bissl_ray.config.settings import Settings
from bissl_ray.errors import BadInputError
from bissl_ray.training.lower_memory import choose_way, step_memory, ways_to_spare
from bissl_ray.training.models import Models
from tests.training.small_trial import CPU, Reports, assert_bit_equal, one_for_each, order, run, saved_models, settings


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "way", "share"),
    [
        ("smallconv", "blocks", 0.75),
        ("resnet18", "blocks", 0.5),
        ("resnet50", "blocks", 0.35),
        ("vit_ti_16", "blocks", 0.3),
        ("vit_ti_16", "chunks", 0.2),
        ("convnext_tiny", "blocks", 0.3),
    ],
)
def test_a_step_takes_less_memory(backbone, way, share):
    chosen = settings(backbone=backbone, image_size=96, pretext="byol", lower_chunks=4)
    assert step_memory(chosen, 64, way) < share * step_memory(chosen, 64, "whole")


@pytest.mark.parametrize(
    ("backbone", "ways"), [("smallconv", ["blocks"]), ("resnet18", ["blocks"]), ("vit_ti_16", ["chunks", "blocks"])]
)
def test_ways_that_are_exact(backbone, ways):
    chosen = settings(backbone=backbone, image_size=32)
    assert ways_to_spare(Models.build(chosen, CPU).lower) == ways


@pytest.mark.slow
def test_auto_takes_what_fits_and_says_so():
    chosen = settings(backbone="smallconv", image_size=32, lower_memory="auto")
    models = Models.build(chosen, CPU)
    whole, blocks = (step_memory(chosen, 64, way) for way in ("whole", "blocks"))
    expected = {2 * whole: "whole", whole: "blocks", blocks // 2: "blocks"}
    found = {free: choose_way(chosen, models, 64, CPU, free) for free in expected}
    assert {free: choice.way for free, choice in found.items()} == expected
    assert "lower_memory auto: blocks, as a pretext step of 64 images takes" in found[whole].words


@pytest.mark.parametrize("way", ["whole", "blocks", "auto"])
def test_on_the_cpu_there_is_nothing_to_choose_and_nothing_to_say(way):
    chosen = settings(lower_memory=way)
    choice = choose_way(chosen, Models.build(chosen, CPU), 64, CPU, None)
    assert (choice.way, choice.words) == ("whole" if way == "auto" else way, None)


@pytest.mark.parametrize("backbone", ["smallconv", "resnet50"])
def test_chunks_of_a_backbone_with_batch_norm_are_refused_with_the_settings(backbone):
    with pytest.raises(ValueError, match=r"lower_memory = 'chunks' with backbone = .*; use lower_memory blocks"):
        Settings(backbone=backbone, lower_memory="chunks")


def test_an_unknown_backbone_with_batch_norm_is_refused_in_chunks_when_it_is_built():
    chosen = settings(backbone="vit_ti_16", image_size=16, lower_memory="chunks")
    with_batch_norm = Models.build(settings(), CPU)
    with pytest.raises(BadInputError, match="set lower_memory to blocks"):
        choose_way(chosen, with_batch_norm, 64, CPU, None)


@pytest.mark.slow
@pytest.mark.parametrize("pretext", ["simclr", "byol"])
def test_a_trial_in_blocks_is_bit_for_bit_the_whole_one(tmp_path, pretext):
    whole, blocks = one_for_each(tmp_path, "lower_memory", "whole", "blocks", pretext=pretext)
    assert run(blocks) | {"checkpoint": None} == run(whole) | {"checkpoint": None}
    assert_bit_equal(saved_models(blocks), saved_models(whole))


@pytest.mark.slow
def test_pretraining_and_lower_steps_of_a_transformer_in_chunks(tmp_path):
    rows = {}
    for way in ("whole", "chunks"):
        what = order(
            tmp_path / way, ("pretrain", "bissl"), backbone="vit_ti_16", image_size=16, lower_memory=way,
            lower_chunks=3, pretrain_epochs=1, alternations=1, precision="float32",
        )  # fmt: skip
        run(what, reports=rows.setdefault(way, Reports()))
    for found, expected in zip(rows["chunks"], rows["whole"], strict=True):
        for name in {"train_loss", "lower_loss", "lower_grad_norm"} & set(expected):
            assert found[name] == pytest.approx(expected[name], rel=1e-4)
