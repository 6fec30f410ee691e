"""Crops resized on a CUDA device have the bits of the CPU, and nothing waits for them."""

import pytest
import torch

from bissl_ray.data import get_dataset
from bissl_ray.data.augment.resized import resized
from bissl_ray.data.nested import each_tensor
from bissl_ray.data.photographs import random_crop
from tests.data.augment.test_same_pictures import SIZES, photograph
from tests.gpu import DEVICE, ON_GPU, needs_gpu

pytestmark = needs_gpu


@pytest.mark.parametrize("side", [24, 96])
def test_a_batch_is_resized_to_the_bits_of_the_cpu(side: int) -> None:
    steps = random_crop(get_dataset("cars"), side).in_steps("device")
    batch = steps.collate([steps.prepare(photograph(*size, seed=seed)) for seed, size in enumerate(SIZES * 5)])
    moved = each_tensor(batch, lambda tensor: tensor.to(DEVICE))
    if ON_GPU:
        torch.cuda.set_sync_debug_mode("error")
    try:
        found = resized(moved)
    finally:
        if ON_GPU:
            torch.cuda.set_sync_debug_mode("default")
    assert torch.equal(found.cpu(), resized(batch))
