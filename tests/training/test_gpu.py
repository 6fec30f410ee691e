"""The same code on a CUDA device."""

import math
import multiprocessing

import pytest
import torch

from bissl_ray.pretext import pretext_names
from bissl_ray.training.pipeline import run_order
from bissl_ray.training.worker import Worker, cap_memory
from tests.gpu import DEVICE, ON_GPU, needs_gpu
from tests.training.small_trial import Reports, order, write_start

pytestmark = needs_gpu


def told(folder, device, stages, **changes):
    """A small trial's reports and its result."""
    rows = Reports()
    result = run_order(order(folder, stages=stages, **changes), Worker(0, 1, device), rows)
    return rows, result


@pytest.mark.parametrize("pretext", pretext_names())
def test_a_trial_on_a_gpu(tmp_path, pretext) -> None:
    write_start(tmp_path, pretext=pretext)
    rows, result = told(tmp_path, DEVICE, ("head", "bissl", "finetune"), pretext=pretext)
    assert 0 <= result["objective"] <= 1
    assert (result["gpu_seconds"] > 0) is ON_GPU
    assert all(math.isfinite(row["lower_loss"]) for row in rows if row["stage"] == "bissl")


@pytest.mark.parametrize("curvature", ["hessian", "gauss_newton"])
def test_an_alternation_is_that_of_the_cpu(tmp_path, curvature) -> None:
    found = []
    for device in ("cpu", DEVICE):
        folder = tmp_path / str(device).replace(":", "") / str(len(found))
        write_start(folder)
        rows, _ = told(folder, torch.device(device), ("bissl",), curvature=curvature, precision="float32")
        found.append(rows[0])
    for name in ("lower_loss", "upper_loss", "direct_loss", "lower_grad_norm", "upper_grad_norm", "cg_residual"):
        assert found[1][name] == pytest.approx(found[0][name], rel=1e-2), name


@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
def test_a_stage_in_another_precision_stays_near_float32(tmp_path, precision) -> None:
    exact, _ = told(tmp_path / "exact", DEVICE, ("pretrain",), precision="float32")
    rounded, _ = told(tmp_path / "rounded", DEVICE, ("pretrain",), precision=precision)
    assert [row["train_loss"] for row in rounded] == pytest.approx([row["train_loss"] for row in exact], rel=0.02)
    write_start(tmp_path)
    rows, result = told(tmp_path, DEVICE, ("head", "bissl", "finetune"), precision=precision)
    assert 0 <= result["objective"] <= 1
    assert all(math.isfinite(row["upper_loss"]) and row["hvps"] > 0 for row in rows if row["stage"] == "bissl")


def test_a_stage_with_loader_processes(tmp_path) -> None:
    """Their batches come through pinned memory."""
    alone, _ = told(tmp_path / "alone", DEVICE, ("pretrain",), loader_processes=0)
    beside, _ = told(tmp_path / "beside", DEVICE, ("pretrain",), loader_processes=1)
    assert [row["train_loss"] for row in beside] == pytest.approx([row["train_loss"] for row in alone], rel=1e-3)


def over_its_share() -> None:
    """Takes a fifth of the memory, of three tenths that it may have, and asks for half on top."""
    whole = torch.cuda.get_device_properties(DEVICE).total_memory
    cap_memory(DEVICE, 0.3)
    held = torch.empty(whole // 5, dtype=torch.uint8, device=DEVICE)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        torch.empty(whole // 2, dtype=torch.uint8, device=DEVICE)
    assert held.is_cuda


@pytest.mark.skipif(not ON_GPU, reason="the CPU's memory is not capped")
def test_a_worker_gets_its_share_of_the_memory() -> None:
    """In a process of its own: the cap is one of the whole process."""
    process = multiprocessing.get_context("spawn").Process(target=over_its_share)
    process.start()
    process.join(120)
    assert process.exitcode == 0
