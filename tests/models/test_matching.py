"""What of a state dict goes into a backbone, and what is said about it."""

import pytest
import torch
from torchvision.models import VisionTransformer, get_model

from bissl_ray.errors import BadInputError
from bissl_ray.models import architecture_of, build_backbone, load_backbone
from bissl_ray.models.vit import fitted_positions


@pytest.mark.slow
def test_a_part_is_refused_unless_it_is_allowed():
    torch.manual_seed(0)
    state = build_backbone("smallconv").state_dict()
    part = {key: value for key, value in state.items() if not key.startswith("layer3")}
    part["layer2.0.weight"] = torch.ones(1)
    part["extra.weight"] = torch.ones(1)
    backbone = build_backbone("smallconv")
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    with pytest.raises(
        BadInputError, match=r"14 of its 20 .* 5 missing .* 1 unexpected \(extra.weight\).*--allow-partial"
    ):
        load_backbone(backbone, part, "part.pth")
    assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())
    report = load_backbone(backbone, part, "part.pth", allow_partial=True)
    assert (report.matched, report.expected, len(report.missing)) == (14, 20, 5)
    assert report.misshapen == ("layer2.0.weight (1,) instead of (64, 32, 3, 3)",)
    assert "keeps fresh weights" in str(report)
    after = backbone.state_dict()
    fresh = [key for key in after if key.startswith("layer3") or key == "layer2.0.weight"]
    assert all(torch.equal(after[key], (before if key in fresh else state)[key]) for key in after)


def test_what_the_backbone_has_no_place_for_is_said_to_be_left_out():
    torch.manual_seed(0)
    state = build_backbone("smallconv").state_dict()
    report = load_backbone(build_backbone("smallconv"), {**state, "extra.weight": torch.ones(1)}, "a.pth", True)
    assert str(report).endswith(
        "20 of its 20 tensors match, 0 missing, 1 unexpected (extra.weight), 0 of another "
        "shape; the unexpected are left out"
    )


@pytest.mark.slow
def test_what_shares_nothing_is_refused_even_then():
    with pytest.raises(BadInputError, match="0 of its 20 tensors match"):
        load_backbone(build_backbone("smallconv"), {"a": torch.ones(1)}, "a.pth", allow_partial=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ours", "timms", "size"),
    [
        ("vit_ti_16", "vit_tiny_patch16_224", {"img_size": 32}),
        ("convnext_tiny", "convnext_tiny", {}),
        ("resnet18", "resnet18", {}),
    ],
)
@torch.no_grad()
def test_weights_with_timms_names(ours, timms, size):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    theirs = timm.create_model(timms, **size).eval()
    for name, parameter in theirs.named_parameters():
        if name.endswith("gamma"):
            parameter.normal_()  # small from the start: the blocks would not matter
    backbone = build_backbone(ours, image_size=32).eval()
    report = load_backbone(backbone, theirs.state_dict(), "timm.pth")
    assert (report.complete, report.heads) == (True, 2)
    assert "2 of heads left out" in str(report)
    assert architecture_of(theirs.state_dict()) == ours
    theirs.reset_classifier(0)
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(backbone(images), theirs(images), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["vit_ti_16", "timm/vit_tiny_patch16_224"])
def test_positions_are_interpolated_to_another_size_and_it_is_said(name):
    state = build_backbone(name, image_size=96).state_dict()
    backbone = build_backbone(name, image_size=64)
    report = load_backbone(backbone, state, "vit.pth")
    assert report.complete
    assert report.notes == ("positional embedding interpolated from 6x6 to 4x4 patches",)
    assert "interpolated" in str(report)


def test_interpolation_keeps_class_tokens_and_is_timms():
    resample = pytest.importorskip("timm.layers").resample_abs_pos_embed
    torch.manual_seed(0)
    embedding = torch.randn(1, 1 + 36, 8)
    ours = fitted_positions(embedding, 1 + 64)
    torch.testing.assert_close(ours, resample(embedding, [8, 8], num_prefix_tokens=1))
    assert torch.equal(ours[:, 0], embedding[:, 0])
    assert fitted_positions(embedding, 39) is None


def test_torchvisions_weights_for_another_size():
    network = VisionTransformer(96, 16, 12, 3, 192, 768)
    report = load_backbone(build_backbone("vit_ti_16", image_size=32), network.state_dict(), "tv.pth")
    assert (report.complete, report.heads) == (True, 2)


@pytest.mark.slow
def test_another_transformer_is_named():
    state = get_model("vit_b_32", weights=None, image_size=64).state_dict()
    with torch.device("meta"):
        backbone = build_backbone("vit_b_16", image_size=64)
    with pytest.raises(BadInputError, match="it looks like vit_b_32: set backbone to vit_b_32"):
        load_backbone(backbone, state, "b32.pth")
