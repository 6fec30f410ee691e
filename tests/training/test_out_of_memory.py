"""A stage that runs out of memory ends in one line that says what it asked for, and what would fit."""

import resource
import subprocess
import sys

import pytest
import torch

from bissl_ray.training.free_memory import free_memory
from bissl_ray.training.out_of_memory import (
    StageOutOfMemoryError,
    is_out_of_memory,
    out_of_memory_line,
    run_within_memory,
)
from tests.training.small_trial import settings

CPU = torch.device("cpu")
GIB = 2**30
WITHIN_A_GIB = """
import resource, torch
from bissl_ray.progress import Quiet
from bissl_ray.training.worker import alone
from bissl_ray.workers import launch
from tests.training.small_trial import order, run
torch.set_num_threads(1)
launch.alone = lambda: alone(torch.device("cpu"))
what = order({folder!r}, ("pretrain",), pretrain_epochs=1, **{changes!r})
pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 2**30,) * 2)
{call}
"""
RUN = "run(what)"
RUN_HERE = "launch.run_here(what, Quiet(), lambda: False)"
# Covariances of 4 GiB, however few the images are.
ENDLESS = {"pretext": "vicreg", "projector_width": 2, "projector_output": 2**15, "pretrain_batch": 2}


def last_line(tmp_path, call, changes):
    script = WITHIN_A_GIB.format(folder=str(tmp_path), call=call, changes=changes)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    return done.stderr.strip().splitlines()[-1], done.stderr


@pytest.mark.slow
def test_a_step_that_can_never_fit_ends_in_a_line(tmp_path):
    line, whole = last_line(tmp_path, RUN, ENDLESS)
    assert "StageOutOfMemoryError: stage pretrain ran out of memory on the CPU, " in line
    assert ": a pretext step of 2 images of 8 px takes about " in line
    assert line.endswith("; try a smaller image_size, backbone or head")
    # torch's own error isn't shown before it.
    assert "DefaultCPUAllocator" not in whole


@pytest.mark.slow
def test_a_stage_by_itself_ends_as_a_run_that_failed_in_words(tmp_path):
    line, _ = last_line(tmp_path, RUN_HERE, ENDLESS)
    assert line.startswith("bissl_ray.errors.RunFailedError: ")
    assert "stage pretrain ran out of memory" in line


@pytest.mark.slow
def test_a_process_that_may_have_no_more_says_what_would_fit(tmp_path):
    line, _ = last_line(tmp_path, RUN, {"backbone": "resnet18", "image_size": 256, "pretrain_batch": 512})
    assert "StageOutOfMemoryError: stage pretrain ran out of memory on the CPU, " in line
    assert "; try pretrain_batch " in line


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "changes", "expected"),
    [
        ("pretrain", {"backbone": "resnet18", "pretrain_batch": 1024}, ["takes about 3.9 GiB; try pretrain_batch 2"]),
        ("pretrain", {"backbone": "resnet50", "pretrain_batch": 60}, ["or lower_memory: blocks ("]),
        (
            "bissl",
            {"backbone": "resnet18", "lower_batch": 16, "upper_steps": 8, "cg_iterations": 5},
            [
                "the curvature on 16 takes about ",
                "; try curvature_batch ",
                " or recycled_products: 0 (",
                " or curvature_products: recompute with recycled_products: 0 (",
            ],
        ),
        ("finetune", {"finetune_batch": 256}, ["finetune_batch 256 of 96 px did not fit; try finetune_batch 128"]),
        ("test", {}, ["its images of 96 px did not fit; try a smaller image_size, backbone or head"]),
        ("test", {"replay": "auto"}, [", or replay: off"]),
    ],
)
def test_what_would_fit(stage, changes, expected):
    line = out_of_memory_line(stage, settings(image_size=96, **changes), 2, CPU, GIB)
    for words in expected:
        assert words in line


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (MemoryError(), True),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 7 bytes"),
            True,
        ),
        (RuntimeError("size mismatch"), False),
        (ValueError("DefaultCPUAllocator"), False),
    ],
)
def test_which_errors_are_lack_of_memory(error, found):
    assert is_out_of_memory(error) == found


def test_other_errors_pass():
    with pytest.raises(ZeroDivisionError):
        run_within_memory(lambda: 1 / 0, "head", settings(), 1, CPU)


def test_free_memory_is_what_a_process_may_still_have():
    assert 0 < free_memory(CPU) <= resource.getpagesize() * 2**40


def test_what_filled_the_memory_is_let_go():
    freed = []

    class Witness:
        def __del__(self):
            freed.append(True)

    def stage():
        witness = Witness()
        assert witness
        torch.empty(2**50)

    with pytest.raises(StageOutOfMemoryError):
        run_within_memory(stage, "head", settings(), 1, CPU)
    assert freed == [True]
