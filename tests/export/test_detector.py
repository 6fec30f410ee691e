"""A detector that is exported is torchvision's own, and finds what ours finds."""

import pytest
import torch

from bissl_ray.config.settings import Settings
from bissl_ray.data import get_dataset
from bissl_ray.downstream.detection.detector import Frame
from bissl_ray.errors import BadInputError
from bissl_ray.export.card import model_card
from bissl_ray.export.choice import run_of
from bissl_ray.export.weights import model_weights, whole_weights
from bissl_ray.training.models import Models

pytestmark = pytest.mark.slow

SPEC = get_dataset("digits_scenes")
SMALL = {"image_size": 32, "detection_side": 64, "detection_side_low": 64, "anchor_low": 8, "proposals": 50}
KINDS = [
    {"backbone": "smallconv", "detector": "c4", "anchor_high": 32},
    {"backbone": "resnet18", "detector": "c4", "anchor_high": 32},
    {"backbone": "resnet18", "detector": "fpn", "anchor_high": 128},
]


def trained(kind):
    """A detector whose weights and statistics say something."""
    settings = Settings(**SMALL, **kind, projector_width=8, projector_output=8)
    torch.manual_seed(1)
    models = Models.build(settings, torch.device("cpu"), "detection", 10)
    with torch.no_grad():
        models.lower.train()
        models.lower(torch.randn(8, 3, 64, 64))
        predictor = models.downstream.detector.roi_heads.box_predictor
        predictor.cls_score.weight.normal_(std=0.5)
    metadata = {"model": "finetuned", "settings": settings.model_dump(), "class_names": [str(n) for n in range(10)]}
    return models, models.checkpoint(("downstream",), metadata)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind['backbone']}-{kind['detector']}")
@torch.no_grad()
def test_torchvisions_model_finds_the_same(kind, tmp_path):
    models, content = trained(kind)
    weights = whole_weights(content, "torchvision", SPEC)
    names = {"torch": torch}
    exec(f"import torch\n{weights.load}", names)
    model = names["model"]
    model.load_state_dict(weights.tensors)
    model.eval()
    task = models.downstream.eval()
    image = torch.rand(3, 64, 64)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (SPEC.mean, SPEC.std))
    found = task.detector.find(models.lower.eval(), Frame(((image - mean) / std)[None], [(64, 64)]))[0]
    (theirs,) = model([image])
    assert len(found.scores) > 0
    torch.testing.assert_close(theirs["boxes"], found.boxes, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(theirs["scores"], found.scores, rtol=1e-4, atol=1e-5)
    assert torch.equal(theirs["labels"] - 1, found.classes)
    card = model_card(
        str(tmp_path / "d.pth"), run_of({"dataset": "digits_scenes", "trial": "t", "sweep": "s"}), weights,
        content["metadata"], {}, (SPEC.mean, SPEC.std),
    )  # fmt: skip
    assert "The detector tells 10 classes apart, numbered from 1, for 0 is the background" in card
    assert weights.load in card


def test_the_backbone_goes_alone_and_timm_has_no_detectors():
    models, content = trained(KINDS[1])
    alone = model_weights(content, "torchvision", with_head=False)
    assert alone.tensors.keys() == models.lower.state_dict().keys() and not alone.classes
    with pytest.raises(BadInputError, match=r"timm has no detector like this one: leave --keys out .* --no-head"):
        whole_weights(content, "timm", SPEC)
