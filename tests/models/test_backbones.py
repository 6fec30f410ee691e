import pytest
import torch
from torchvision.models import resnet18

from bissl_ray.config.stages import STAGES
from bissl_ray.errors import BadInputError
from bissl_ray.models import backbone_names, build_backbone


def test_every_backbone_gives_features_of_its_declared_width_at_small_sizes():
    for name in backbone_names():
        with torch.device("meta"):
            backbone = build_backbone(name)
            assert backbone(torch.empty(2, 3, 32, 32)).shape == (2, backbone.feature_dim)


@pytest.mark.parametrize("name", backbone_names())
def test_every_trainable_parameter_belongs_to_one_stage_in_the_order_of_the_table(name):
    with torch.device("meta"):
        backbone = build_backbone(name)
    assert tuple(backbone.stages) == STAGES[name]
    children = [child for members in backbone.stages.values() for child in members]
    assert len(set(children)) == len(children)
    own = backbone.parameter_stages()
    assert len(own) == len(list(backbone.parameters()))
    assert tuple(dict.fromkeys(own)) == STAGES[name]
    assert sorted(own, key=STAGES[name].index) == own
    # A frozen parameter has no weight: the trainer wants one per trainable tensor.
    next(backbone.parameters()).requires_grad_(False)
    assert backbone.parameter_stages() == own[1:]


def test_the_stages_of_a_resnet():
    with torch.device("meta"):
        backbone = build_backbone("resnet18")
    names = [name for name, _ in backbone.named_parameters()]
    stages = dict(zip(names, backbone.parameter_stages(), strict=True))
    assert [name for name in names if stages[name] == "stem"] == ["conv1.weight", "bn1.weight", "bn1.bias"]
    assert all(name.startswith(f"{stages[name]}.") for name in names if stages[name] != "stem")


def test_resnet18_computes_what_torchvision_computes():
    torch.manual_seed(0)
    theirs = resnet18(weights=None).eval()
    ours = build_backbone("resnet18").eval()
    keys = ours.load_state_dict(theirs.state_dict(), strict=False)
    assert keys.missing_keys == []
    assert set(keys.unexpected_keys) == {"fc.weight", "fc.bias"}
    theirs.fc = torch.nn.Identity()
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(ours(images), theirs(images))


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
