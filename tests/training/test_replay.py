"""A whole trial whose steps and products are replayed is the eager one; what can't be replayed is said or refused."""

import pytest
import torch

from bissl_ray.errors import BadInputError
from bissl_ray.replay import ReplayError
from bissl_ray.training import replay
from bissl_ray.training.models import Models
from bissl_ray.training.replay import check_replay, replays_of
from bissl_ray.training.worker import Worker
from tests.replay.recorders import FailsToRecord, OutOfMemory, Reruns, SlightlyOff, WrongOnOtherBatches
from tests.training.small_trial import (
    Heard,
    assert_bit_equal,
    order,
    renamed,
    run,
    saved_models,
    settings,
    without_clock,
    write_start,
)

STAGES = ("pretrain", "head", "bissl", "finetune")
LONG = {"alternations": 10, "finetune_epochs": 1}
CPU = torch.device("cpu")


def whole(folder, mode, **changes):
    """Rows, notes and models of a trial."""
    what = renamed(order(folder, STAGES, replay=mode, precision="float32", **LONG, **changes), "trial")
    heard = Heard()
    run(what, reports=heard)
    return without_clock(heard), heard.notes, saved_models(what)


@pytest.fixture(scope="module")
def eager(tmp_path_factory):
    """The trial without replay, by what is changed of it: run once."""
    found = {}

    def trial(**changes):
        key = repr(changes)
        if key not in found:
            found[key] = whole(tmp_path_factory.mktemp("eager"), "off", **changes)
        return found[key]

    return trial


def replayed(tmp_path, monkeypatch, recorder, **changes):
    """The trial by replay."""
    monkeypatch.setattr(replay, "recorder_for", lambda device: recorder)
    return whole(tmp_path, "auto", **changes)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"pretext": "byol", "target_momentum": 0.9, "clip_norm": None},
        {"curvature": "gauss_newton", "direct_weight": 0.0},
        {"curvature_products": "recompute", "lower_memory": "blocks"},
    ],
)
def test_ten_alternations_by_replay_are_bit_for_bit_those_without(tmp_path, monkeypatch, eager, changes):
    recorder = Reruns()
    rows, notes, models = replayed(tmp_path, monkeypatch, recorder, **changes)
    # With the recorder there as well: where replay is off, nothing is recorded.
    rows_off, notes_off, models_off = eager(**changes)
    assert rows == rows_off
    assert_bit_equal(models, models_off)
    assert notes == notes_off == []
    functions = 3 + 3  # pretraining, head, fine-tuning; the lower step, the upper one's two
    products = 0 if "curvature_products" in changes else 2
    assert recorder.recorded == functions + products
    assert recorder.replayed > 60


@pytest.mark.slow
@pytest.mark.parametrize("recorder", [FailsToRecord, OutOfMemory, WrongOnOtherBatches, SlightlyOff])
def test_recordings_that_fail_change_no_bit_and_are_said_once_each(tmp_path, monkeypatch, eager, recorder):
    rows_off, _, models_off = eager()
    rows, notes, models = replayed(tmp_path, monkeypatch, recorder())
    assert rows == rows_off
    assert_bit_equal(models, models_off)
    what = [line.split(": ")[0] for line in notes]
    assert len(what) == len(set(what)) == 7
    assert all(line.startswith("replay, ") and "it goes on without, as " in line for line in notes)
    assert "replay, the curvature" in what


def test_where_replay_is_on_a_recording_that_fails_ends_the_trial(tmp_path, monkeypatch):
    monkeypatch.setattr(replay, "recorder_for", lambda device: OutOfMemory())
    write_start(tmp_path)
    with pytest.raises(ReplayError, match="the lower step can't be replayed: there is too little memory"):
        run(order(tmp_path, ("bissl",), replay="on"))


def test_on_the_cpu_auto_is_eager_and_says_nothing(tmp_path):
    heard = Heard()
    run(order(tmp_path, ("pretrain",), replay="auto"), reports=heard)
    assert heard.notes == []


@pytest.mark.parametrize(
    ("workers", "on_gpu", "refused"),
    [(1, True, None), (1, False, "there is no CUDA device to record on"), (2, True, "2 workers share a trial")],
)
def test_on_is_refused_where_nothing_can_be_recorded(workers, on_gpu, refused):
    for mode in ("off", "auto"):
        check_replay(mode, workers, on_gpu)
    if refused is None:
        check_replay("on", workers, on_gpu)
    else:
        with pytest.raises(BadInputError, match=f"replay is on, and {refused}.*; set it to auto or off"):
            check_replay("on", workers, on_gpu)


def test_several_workers_run_eagerly_and_say_so(monkeypatch):
    monkeypatch.setattr(replay, "recorder_for", lambda device: Reruns())
    lines = []
    chosen = settings(replay="auto")
    replays = replays_of(chosen, Models.build(chosen, CPU), Worker(0, 2, CPU), lines.append)
    assert not replays.records
    assert len(lines) == 1 and "collectives over several workers are not recorded" in lines[0]


def test_a_model_of_a_run_with_replay_on_is_scored_anywhere(tmp_path):
    write_start(tmp_path)
    heard = Heard()
    run(order(tmp_path, ("score",), replay="on"), reports=heard)
    assert heard.notes == []
