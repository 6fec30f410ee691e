"""What the benchmarks read of a CUDA device."""

import json
import time

import pytest
import torch

from bissl_ray.benchmarks.device import device_name, matmul_rate
from bissl_ray.benchmarks.gauges import Clock, Kernels, Peak, read
from tests.benchmarks.run import bench
from tests.benchmarks.test_train import STAGES, TINY
from tests.gpu import DEVICE, ON_GPU, needs_gpu

pytestmark = [*needs_gpu, pytest.mark.skipif(not ON_GPU, reason="the CPU has no kernels to rehearse with")]


def test_kernels_fill_a_part_of_the_time() -> None:
    one = torch.randn(512, 512, device=DEVICE)

    def round_(next_part) -> None:
        for _ in range(20):
            one @ one
        next_part()
        time.sleep(0.05)

    (busy, idle), (spent, _) = read(round_, Kernels(DEVICE)), read(round_, Clock(DEVICE))
    assert 0 < busy < 10 and idle == 0 and spent.wall > 0


def test_memory_is_what_the_device_gives() -> None:
    (found,) = read(lambda _: torch.empty(2**20, dtype=torch.uint8, device=DEVICE), Peak(DEVICE))
    assert found == 2**20


def test_fewer_bits_are_no_slower() -> None:
    exact, rounded = (matmul_rate(DEVICE, arithmetic) for arithmetic in ("float32", "bfloat16"))
    assert 1e11 < exact < 1.1 * rounded


@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_every_stage_is_measured(precision) -> None:
    given = ["--photographs", "20", "--processes", "1", "--precision", precision, "--json"]
    measured = json.loads(bench("train", *TINY, *given))
    assert measured["device"] == device_name(DEVICE) and set(measured["matmul_rates"]) == {"float32", precision}
    assert [row["stage"] for row in measured["rows"]] == STAGES
    assert all(0 < row["held"]["busy"] <= 1.05 and row["peak_bytes"] > 0 for row in measured["rows"])
