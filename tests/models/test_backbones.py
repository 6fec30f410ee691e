import pytest
import torch
from torchvision.models import resnet18

from bissl_ray.errors import BadInputError
from bissl_ray.models import backbone_names, build_backbone


def test_every_backbone_gives_features_of_its_declared_width_at_small_sizes():
    for name in backbone_names():
        with torch.device("meta"):
            backbone = build_backbone(name)
            assert backbone(torch.empty(2, 3, 32, 32)).shape == (2, backbone.feature_dim)


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
