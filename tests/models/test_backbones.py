import pytest
import torch
from torch import nn
from torchvision.models import get_model

from bissl_ray.config.names import RESNETS, VITS, parts_of
from bissl_ray.errors import BadInputError
from bissl_ray.models import backbone_names, build_backbone, check_twice_differentiable

TIMM = ("timm/resnet18", "timm/vit_tiny_patch16_224", "timm/convnext_atto", "timm/efficientnet_b0", "timm/vgg11")
UNGROUPED = ("timm/poolformer_s12", "timm/caformer_s18", "timm/pit_ti_224")
"""Models that timm doesn't divide into groups."""


def on_meta(name, size=None):
    with torch.device("meta"):
        return build_backbone(name, image_size=size or smallest(name))


def smallest(name):
    return 2 * VITS.get(name, 16)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*backbone_names(), *TIMM, *UNGROUPED])
def test_features_have_the_declared_width_and_every_parameter_a_part(name):
    backbone = on_meta(name)
    images = torch.empty(2, 3, smallest(name), smallest(name), device="meta")
    assert backbone(images).shape == (2, backbone.feature_dim)
    parts = parts_of(name)
    assert tuple(backbone.parts) == parts
    modules = [module for modules in backbone.parts.values() for module in modules]
    assert len(set(modules)) == len(modules)
    own = backbone.parameter_parts()
    assert len(own) == len(list(backbone.parameters()))
    assert tuple(dict.fromkeys(own)) == parts
    assert sorted(own, key=parts.index) == own
    # A frozen parameter has no weight: the trainer wants one per trainable tensor.
    next(backbone.parameters()).requires_grad_(False)
    assert backbone.parameter_parts() == own[1:]


def test_the_parts_of_a_resnet():
    backbone = on_meta("resnet18")
    names = [name for name, _ in backbone.named_parameters()]
    parts = dict(zip(names, backbone.parameter_parts(), strict=True))
    assert [name for name in names if parts[name] == "stem"] == ["conv1.weight", "bn1.weight", "bn1.bias"]
    assert all(name.startswith(f"{parts[name]}.") for name in names if parts[name] != "stem")
    # timm's groups come to the same.
    assert on_meta("timm/resnet18").parameter_parts() == backbone.parameter_parts()


def test_the_parts_of_a_transformer_divide_its_blocks_evenly():
    for name, positions in (("vit_s_16", "encoder.pos_embedding"), ("timm/vit_small_patch16_224", "network.pos_embed")):
        backbone = on_meta(name)
        names = [parameter for parameter, _ in backbone.named_parameters()]
        parts = dict(zip(names, backbone.parameter_parts(), strict=True))
        assert parts[positions] == "stem"
        assert parts[names[-1]] == "layer4"
        assert [list(parts.values()).count(f"layer{number}") for number in (1, 2, 3, 4)] == [36, 36, 36, 38]


def test_a_model_that_timm_does_not_group_is_divided_by_its_parts():
    backbone = on_meta("timm/poolformer_s12")
    names = [parameter for parameter, _ in backbone.named_parameters()]
    parts = dict(zip(names, backbone.parameter_parts(), strict=True))
    parts = {".".join(name.split(".")[1:3]): part for name, part in parts.items()}
    within = {f"stages.{number}": f"layer{number + 1}" for number in range(4)}
    assert parts == {"stem.conv": "stem", **within, "head.norm": "layer4"}


def test_the_parts_of_a_convnext_are_those_of_timm():
    ours, timms = on_meta("convnext_tiny"), on_meta("timm/convnext_tiny")
    count = [ours.parameter_parts().count(part) for part in ours.parts]
    assert count == [timms.parameter_parts().count(part) for part in timms.parts]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size", "last"),
    [("resnet18", 32, "fc"), ("resnext50_32x4d", 32, "fc"), ("vit_b_32", 64, "heads"), ("convnext_tiny", 32, None)],
)
@torch.no_grad()
def test_features_are_those_of_torchvision(name, size, last):
    torch.manual_seed(0)
    fixed = {"image_size": size} if name in VITS else {}
    theirs = get_model(name, weights=None, **fixed).eval()
    if last is None:
        theirs.classifier[2] = nn.Identity()
    else:
        setattr(theirs, last, nn.Identity())
    ours = build_backbone(name, image_size=size).eval()
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, size, size)
    assert torch.equal(ours(images), theirs(images))


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "efficientnet_b0", "convnext_atto"])
@torch.no_grad()
def test_features_are_those_of_timm(name):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    fixed = {"img_size": 32} if name.startswith("vit") else {}
    theirs = timm.create_model(name, num_classes=0, **fixed).eval()
    ours = build_backbone(f"timm/{name}", image_size=32).eval()
    ours.load_state_dict(theirs.state_dict())
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(ours(images), theirs(images), rtol=1e-5, atol=1e-5)


def test_a_copy_inside_another_module_keeps_its_names():
    backbone = build_backbone("timm/convnext_atto", image_size=32)
    holder = nn.ModuleDict({"target": build_backbone("timm/convnext_atto", image_size=32)})
    state = {f"target.{key}": value for key, value in backbone.state_dict().items()}
    assert holder.state_dict().keys() == state.keys()
    holder.load_state_dict(state)
    assert all(torch.equal(a, b) for a, b in zip(backbone.parameters(), holder.parameters(), strict=True))


@pytest.mark.parametrize("name", ["resnet18", "vit_ti_16", "convnext_tiny", "timm/efficientnet_b0"])
def test_nothing_is_random_in_training_mode(name):
    torch.manual_seed(0)
    backbone = build_backbone(name, image_size=32).train()
    images = torch.randn(4, 3, 32, 32)
    assert torch.equal(backbone(images), backbone(images))


@pytest.mark.parametrize("side", [8, 16])
def test_smallconv_is_small_and_trains_on_small_images(side):
    backbone = build_backbone("smallconv")
    assert 60_000 <= sum(parameter.numel() for parameter in backbone.parameters()) <= 150_000
    features = backbone(torch.randn(4, 3, side, side))
    assert features.shape == (4, 64)
    features.square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in backbone.parameters())


def test_the_same_seed_gives_the_same_weights():
    states = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        states.append(build_backbone("smallconv").state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert not torch.equal(states[0]["stem.0.weight"], states[2]["stem.0.weight"])


def test_an_unknown_name_is_answered_with_the_nearest_one():
    with pytest.raises(BadInputError, match=r"unknown backbone 'resnet-50'.*did you mean.*'resnet50'"):
        build_backbone("resnet-50")
    with pytest.raises(BadInputError, match=r"unknown backbone 'timm/resnet_18': timm .* did you mean 'resnet18'"):
        build_backbone("timm/resnet_18")


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("vit_b_16", 100, "expected a multiple of 16, the side of this backbone's patches: 96 or 112"),
        ("vit_h_14", 8, "expected a multiple of 14, .*: 14"),
        ("convnext_tiny", 16, "expected at least 32 pixels"),
    ],
)
def test_a_size_of_images_that_it_cannot_take(name, size, said):
    with pytest.raises(BadInputError, match=said):
        build_backbone(name, image_size=size)


@pytest.mark.slow
def test_models_of_timm_are_tried_before_anything_starts():
    check_twice_differentiable("timm/resnet18", 32)
    check_twice_differentiable(RESNETS[0], 8)
    with pytest.raises(BadInputError, match=r"can't be differentiated twice \(derivative for aten::hardsigmoid"):
        check_twice_differentiable("timm/mobilenetv3_small_050", 32)
    with pytest.raises(BadInputError, match="can't take images of 8 pixels"):
        check_twice_differentiable("timm/convnext_atto", 8)
