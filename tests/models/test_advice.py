"""Advice on weights that don't fit does no harm."""

from pathlib import Path

import pytest
import torch

from bissl_ray.errors import BadInputError
from bissl_ray.models import build_backbone, load_backbone


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "advice", "harm"),
    [
        # A deeper network: what it has more is no head.
        (
            lambda s: {**s, "layer1.2.conv1.weight": torch.ones(64, 64, 3, 3)},
            "it is a larger network: give a file of this architecture",
            "--allow-partial",
        ),
        # What could change what is computed is not left out unasked.
        (lambda s: {**s, "norm_pre.weight": torch.ones(3)}, "--allow-partial if they change nothing of what", None),
        # All is there under other names.
        (
            lambda s: {key.replace("layer3", "stage3"): value for key, value in s.items()},
            "under other names, such as stage3.0.conv2.weight for layer3.0.conv2.weight: rename them",
            "--allow-partial",
        ),
        # Hardly anything fits: a part would be worth nothing.
        (
            lambda s: {k: v for k, v in s.items() if k.startswith("layer1")},
            "give a file of this architecture",
            "--allow",
        ),
    ],
)
def test_advice_does_no_harm(tmp_path: Path, resnet, change, advice: str, harm: str | None) -> None:
    backbone = build_backbone("resnet18")
    with pytest.raises(BadInputError) as error:
        load_backbone(backbone, change(resnet), "x.pth")
    assert advice in str(error.value), error.value
    assert harm is None or harm not in str(error.value)
