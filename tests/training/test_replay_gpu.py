"""Replay by CUDA graphs against the eager run. Not one of these tests has ever run: there was no GPU."""

import pytest
import torch

from bissl_ray.replay import CudaRecorder, Replays
from bissl_ray.training.pipeline import run_order
from bissl_ray.training.worker import Worker
from tests.training.small_trial import assert_bit_equal, order, saved_models, without_clock, write_start
from tests.training.test_replay import Heard

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

LOSSES = ("lower_loss", "upper_loss", "direct_loss", "distance", "lower_grad_norm", "train_loss")


def trial(folder, mode, **changes):
    """Rows, notes and models of ten alternations and a fine-tuning on the GPU."""
    write_start(folder, **changes)
    fixed = {"alternations": 10, "precision": "float32", "divergence_factor": None}
    what = order(folder, replay=mode, **{**fixed, **changes})
    heard = Heard()
    run_order(what, Worker(0, 1, torch.device("cuda", 0)), heard)
    return without_clock(heard), heard.notes, saved_models(what)


@pytest.fixture
def deterministic(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("pretext", ["simclr", "byol", "vicreg"])
@pytest.mark.parametrize("curvature", ["hessian", "gauss_newton"])
def test_replay_and_eager_agree_over_ten_alternations(tmp_path, pretext, curvature, deterministic):
    changes = {"pretext": pretext, "curvature": curvature}
    rows, notes, models = trial(tmp_path / "on", "on", **changes)
    eager_rows, _, eager_models = trial(tmp_path / "off", "off", **changes)
    assert notes == []
    for found, expected in zip(rows, eager_rows, strict=True):
        for name in set(LOSSES) & set(expected):
            assert found[name] == pytest.approx(expected[name], rel=1e-6)
    assert_bit_equal(models, eager_models)


@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
def test_replay_in_coarser_arithmetic(tmp_path, precision):
    _, notes, models = trial(tmp_path, "auto", precision=precision)
    assert notes == []
    assert all(bool(tensor.isfinite().all()) for tensor in models.values() if tensor.is_floating_point())


def test_a_capture_that_fails_goes_on_eagerly():
    lines = []
    device = torch.device("cuda", 0)
    replays = Replays(CudaRecorder(device), say=lines.append)

    def reads_the_host(x):
        return x * float(x.sum())

    step = replays.of(reads_the_host, "the step")
    for value in range(5):
        x = torch.full((4,), float(value), device=device)
        with replays.around():
            found = step(x)
        assert torch.equal(found, reads_the_host(x))
    assert len(lines) == 1 and "it goes on without, as recording failed" in lines[0]
    # The device is as good as before, for a recording too.
    good = replays.of(lambda x: x * 2, "another")
    for value in range(5):
        x = torch.full((4,), float(value), device=device)
        assert torch.equal(good(x), x * 2)
    assert len(lines) == 1


def test_too_little_memory_goes_on_eagerly():
    lines = []
    device = torch.device("cuda", 0)
    # The recording's result has no room beside the eager one.
    entries = int(0.6 * torch.cuda.mem_get_info(device)[0]) // 4
    step = Replays(CudaRecorder(device), say=lines.append).of(lambda x: x.expand(entries) + 1, "the step")
    for value in range(4):
        assert float(step(torch.full((1,), float(value), device=device))[-1]) == value + 1
    assert lines == ["replay, the step: it goes on without, as there is too little memory for a recording"]
