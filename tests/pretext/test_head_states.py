import pytest
import torch

from bissl_ray.config.settings import Settings
from bissl_ray.errors import BadInputError
from bissl_ray.models import build_backbone
from bissl_ray.pretext import build_pretext, pretext_names

BISSL = {
    "0": ("weight", "bias"),
    "1": ("weight", "bias"),
    "3": ("weight", "bias"),
    "4": ("weight", "bias"),
    "6": ("weight",),
}
WITHOUT_BIASES = {**BISSL, "0": ("weight",), "3": ("weight",)}
PUBLISHED = {
    "simclr": {"projector": BISSL},
    "byol": {"projector": BISSL, "predictor": BISSL},
    "vicreg": {"projector": BISSL},
    "barlow_twins": {"projector": WITHOUT_BIASES},
    "simsiam": {
        "projector": {**WITHOUT_BIASES, "6": ("weight", "bias")},
        "predictor": {"0": ("weight",), "1": ("weight", "bias"), "3": ("weight", "bias")},
    },
}
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
BATCH_NORMS = {
    "simsiam": ["projector.1", "projector.4", "projector.7", "predictor.1"],
    "byol": ["projector.1", "projector.4", "predictor.1", "predictor.4"],
}


def build(pretext, **changed):
    settings = Settings(
        backbone="smallconv", pretext=pretext, **{"projector_width": 12, "projector_output": 5, **changed}
    )
    backbone = build_backbone("smallconv")
    return backbone, build_pretext(settings, backbone)


def head_alone(task):
    return {key: value.clone() for key, value in task.state_dict().items() if not key.startswith("target_")}


@pytest.mark.parametrize("pretext", PUBLISHED)
def test_a_head_has_the_published_names(pretext):
    _, task = build(pretext)
    layers = {
        f"{part}.{layer}.{leaf}"
        for part, layers in PUBLISHED[pretext].items()
        for layer, leaves in layers.items()
        for leaf in leaves
    }
    layers |= {
        f"{norm}.{name}" for norm in BATCH_NORMS.get(pretext, ["projector.1", "projector.4"]) for name in STATISTICS
    }
    assert head_alone(task).keys() == layers


@pytest.mark.parametrize("pretext", pretext_names())
def test_a_whole_state_comes_back_bit_equal(pretext):
    _, saved = build(pretext)
    backbone, task = build(pretext)
    task.load_head(saved.state_dict(), backbone, "trial.pt")
    assert all(torch.equal(value, task.state_dict()[key]) for key, value in saved.state_dict().items())


@pytest.mark.parametrize("pretext", pretext_names())
def test_a_published_head_alone_comes_back(pretext):
    _, saved = build(pretext)
    backbone, task = build(pretext)
    task.load_head(head_alone(saved), backbone, "head.pth")
    assert all(torch.equal(value, task.state_dict()[key]) for key, value in head_alone(saved).items())


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
