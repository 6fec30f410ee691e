import pytest
import torch

from bissl_ray.config.settings import Settings
from bissl_ray.errors import BadInputError
from bissl_ray.models import build_backbone
from bissl_ray.pretext import build_pretext, pretext_names

PUBLISHED_LAYERS = {
    "0": ("weight", "bias"),
    "1": ("weight", "bias"),
    "3": ("weight", "bias"),
    "4": ("weight", "bias"),
    "6": ("weight",),
}


def build(pretext, **changed):
    settings = Settings(
        backbone="smallconv", pretext=pretext, **{"projector_width": 12, "projector_output": 5, **changed}
    )
    backbone = build_backbone("smallconv")
    return backbone, build_pretext(settings, backbone)


def head_alone(task):
    return {key: value.clone() for key, value in task.state_dict().items() if not key.startswith("target_")}


@pytest.mark.parametrize(("pretext", "parts"), [("simclr", ["projector"]), ("byol", ["projector", "predictor"])])
def test_head_parameters_have_the_published_names(pretext, parts):
    _, task = build(pretext)
    named = {name for name, parameter in task.named_parameters() if parameter.requires_grad}
    assert named == {
        f"{part}.{layer}.{leaf}" for part in parts for layer, leaves in PUBLISHED_LAYERS.items() for leaf in leaves
    }


@pytest.mark.parametrize("pretext", pretext_names())
def test_a_whole_state_comes_back_bit_equal(pretext):
    _, saved = build(pretext)
    backbone, task = build(pretext)
    task.load_head(saved.state_dict(), backbone, "trial.pt")
    assert all(torch.equal(value, task.state_dict()[key]) for key, value in saved.state_dict().items())


def test_a_published_head_alone_sets_the_target_from_the_backbone():
    _, saved = build("byol")
    backbone, task = build("byol")
    torch.nn.init.ones_(backbone.stem[0].weight)
    task.load_head(head_alone(saved), backbone, "head.pth")
    assert torch.equal(task.target_backbone.stem[0].weight, backbone.stem[0].weight)
    assert torch.equal(task.target_projector[0].weight, saved.projector[0].weight)
    assert torch.equal(task.predictor[6].weight, saved.predictor[6].weight)


def test_a_head_of_another_task_or_width_is_refused():
    backbone, simclr = build("simclr")
    _, byol = build("byol")
    _, wide = build("simclr", projector_width=20)
    with pytest.raises(BadInputError, match=r"head.pth does not fit the head of SimCLR: predictor.0.bias is not part"):
        simclr.load_head(head_alone(byol), backbone, "head.pth")
    with pytest.raises(BadInputError, match=r"head of BYOL: predictor.0.bias is missing"):
        byol.load_head(head_alone(simclr), backbone, "head.pth")
    with pytest.raises(BadInputError, match=r"projector.0.bias is \(20,\), expected \(12,\)"):
        simclr.load_head(head_alone(wide), backbone, "head.pth")
