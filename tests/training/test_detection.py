"""A trial of the task detection, on the built-in scenes: every stage, an interruption, and what is scored."""

import pytest
import torch

from bissl_ray.progress import Note, TrialStoppedError
from bissl_ray.training import replay
from bissl_ray.training.order import Order
from bissl_ray.training.stages.finetune import finetune
from bissl_ray.training.trial import Trial
from bissl_ray.training.worker import alone
from tests.data.tiny.voc0712 import write
from tests.detector import SMALL_DETECTOR
from tests.replay.recorders import Reruns
from tests.training.small_trial import (
    Reports,
    assert_bit_equal,
    changed,
    order,
    renamed,
    run,
    save_always,
    saved_models,
    without_clock,
    write_start,
)

pytestmark = pytest.mark.slow

SMALL = {
    "image_size": 32,
    "lower_batch": 8,
    "upper_batch": 4,
    "finetune_batch": 120,
    "head_lr": 0.02,
    **SMALL_DETECTOR,
}


def scenes(folder, **changes) -> Order:
    return changed(order(folder, **{**SMALL, **changes}), dataset="digits_scenes")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("scenes")
    write_start(root, **SMALL)
    return root


def test_every_stage_runs_and_an_interrupted_trial_ends_in_the_same_bits(folder, monkeypatch):
    save_always(monkeypatch)
    whole, rows = scenes(folder), Reports()
    result = run(whole, reports=rows)
    assert result["objective_name"] == "validation_ap50" and 0 <= result["objective"] <= 1
    assert result["alternations"] == 2 and [row["stage"] for row in rows][:2] == ["bissl", "bissl"]
    rest = Reports()
    for stop_at in (2, 3, None):
        rest = Reports(stop_at)
        try:
            again = run(renamed(whole, "interrupted"), reports=rest)
        except TrialStoppedError:
            continue
    assert without_clock(rest)[-1] == without_clock(rows)[-1]
    assert again["objective"] == result["objective"]
    assert_bit_equal(saved_models(renamed(whole, "interrupted")), saved_models(whole))


def test_the_test_split_is_scored_by_the_objective_that_was_asked_for(folder):
    asked = scenes(folder, objective="voc07_ap50").model_copy(
        update={"stages": ("test",), "start": "pretrained/start.pt"}
    )
    trial = Trial(asked, alone(torch.device("cpu")), Reports())
    trial.begin()
    assert trial.metric.objective_name == "validation_voc07_ap50"
    assert trial.score("lower", "test") == trial.metrics("lower", "test")["voc07_ap50"]
    trial.data.close()


RESNET = {
    "backbone": "resnet18",
    "image_size": 32,
    "lower_batch": 8,
    "upper_batch": 8,
    "finetune_batch": 6,
    "detection_side": 64,
    "detection_side_low": 64,
    "anchor_low": 16,
    "anchor_high": 32,
    "anchor_batch": 32,
    "proposals": 30,
    "region_batch": 16,
    "region_size": 4,
    "finetune_epochs": 6,
    "finetune_lr": 0.02,
    "finetune_warmup": 1,
    "cache_gib": 0.0,
}


def test_a_resnet_c4_learns_to_find_shapes_in_files_laid_out_as_voc(tmp_path):
    """From fresh weights on 72 images: AP50 over three classes, of which an untrained detector has none (here 0.68)."""
    write(tmp_path / "data", 40, 40, 30)
    write_start(tmp_path, **RESNET)
    asked = changed(order(tmp_path, stages=("finetune",), **RESNET), dataset="voc0712", data_dir=str(tmp_path / "data"))
    trial = Trial(asked, alone(torch.device("cpu")), Reports())
    trial.begin()
    assert trial.score("lower", "test") < 0.05
    finetune(trial, None)
    assert trial.score("lower", "test") > 0.4
    trial.data.close()


def test_replay_leaves_what_it_can_not_record_eager(folder, monkeypatch):
    notes = []

    class Heard(Reports):
        def deliver(self, event):
            notes.extend([event.line] if isinstance(event, Note) else [])

    monkeypatch.setattr(replay, "recorder_for", lambda device: Reruns())
    found = [renamed(scenes(folder, replay=mode, upper_steps=4), f"replay-{mode}") for mode in ("auto", "off")]
    for what in found:
        run(what, reports=Heard())
    assert_bit_equal(*map(saved_models, found))
    assert notes and all(line.startswith("replay, the ") for line in notes)
