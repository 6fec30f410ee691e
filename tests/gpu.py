"""What tests of a CUDA device share.

from tests.gpu import DEVICE, needs_gpu

pytestmark = needs_gpu

TESTS_DEVICE=cpu rehearses them without one: what fails then would fail on a GPU before its first kernel.
"""

import os

import pytest
import torch

DEVICE = torch.device(os.environ.get("TESTS_DEVICE", "cuda:0"))
"""Where they run."""
ON_GPU = DEVICE.type == "cuda"

needs_gpu = [
    pytest.mark.gpu,
    pytest.mark.skipif(ON_GPU and not torch.cuda.is_available(), reason="needs a CUDA device"),
]
