"""Backbones' states, as checkpoints hold them."""

import pytest
import torch
from torchvision.models import get_model

from bissl_ray.models import build_backbone


@pytest.fixture(scope="module")
def resnet() -> dict[str, torch.Tensor]:
    """torchvision's own keys, as all other code begins from."""
    torch.manual_seed(0)
    return {key: value for key, value in get_model("resnet18", weights=None).state_dict().items() if key[:3] != "fc."}


@pytest.fixture(scope="module")
def vit() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return dict(build_backbone("vit_ti_16", image_size=32).state_dict())
