"""The loss of a detector: torchvision's own, the same for the same keys, the same on any number of workers."""

import copy

import pytest
import torch
from torch import nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.backbone_utils import LastLevelMaxPool
from torchvision.models.detection.faster_rcnn import TwoMLPHead
from torchvision.models.detection.rpn import AnchorGenerator
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign

from bissl_ray.downstream.detection.sampling import KeyedSampler
from bissl_ray.parallel import mean_over_workers
from tests.downstream.detection.given import Tiny, backbone_named, samples, scenes, settings, task_for
from tests.processes import run_workers

pytestmark = pytest.mark.slow


class Shared(nn.Module):
    """All but the last part of a backbone, as torchvision's detectors want it."""

    def __init__(self, backbone, task, pyramid):
        super().__init__()
        self.backbone, self.out_channels = backbone, 256 if pyramid else task.detector.neck.channels
        if pyramid:
            channels = [backbone.channels[part] for part in list(backbone.parts)[1:]]
            self.fpn = FeaturePyramidNetwork(channels, 256, LastLevelMaxPool()).double()
            self.fpn.load_state_dict(task.detector.neck.fpn.state_dict())

    def forward(self, images):
        first, *rest = self.backbone.parts
        activations = self.backbone.through(first, images)
        if not hasattr(self, "fpn"):
            for part in rest[:-1]:
                activations = self.backbone.through(part, activations)
            return activations
        maps = {}
        for number, part in enumerate(rest):
            maps[str(number)] = activations = self.backbone.through(part, activations)
        return self.fpn(maps)


class LastPart(nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.layer = backbone.get_submodule(list(backbone.parts)[-1])

    def forward(self, regions):
        return self.layer(regions).mean(dim=(2, 3))


def torchvisions(backbone, task, chosen):
    """torchvision's FasterRCNN with the same weights, anchors and sampling, put together by its own constructor."""
    pyramid = chosen.detector == "fpn"
    levels = ((8,), (16,), (32,), (64,), (128,)) if pyramid else ((8, 16, 32),)
    maps = ["0", "1", "2", "3"] if pyramid else ["0"]
    if pyramid:
        head = TwoMLPHead(256 * chosen.region_size**2, 1024).double()
        head.load_state_dict(task.detector.neck.box_head.state_dict())
    else:
        head = LastPart(backbone)
    model = FasterRCNN(
        Shared(backbone, task, pyramid),
        num_classes=None,
        min_size=64, max_size=2000, image_mean=[0.0] * 3, image_std=[1.0] * 3,
        rpn_anchor_generator=AnchorGenerator(levels, ((0.5, 1.0, 2.0),) * len(levels)),
        rpn_pre_nms_top_n_train=40, rpn_post_nms_top_n_train=40, rpn_pre_nms_top_n_test=20, rpn_post_nms_top_n_test=20,
        rpn_batch_size_per_image=32, box_batch_size_per_image=16,
        box_roi_pool=MultiScaleRoIAlign(maps, chosen.region_size, 2),
        box_head=head,
        box_predictor=copy.deepcopy(task.detector.roi_heads.box_predictor),
    ).double()  # fmt: skip
    model.rpn.head.load_state_dict(task.detector.rpn.head.state_dict())
    assign = model.rpn.assign_targets_to_anchors

    def in_double(anchors, targets):
        # torchvision keeps these in float32 whatever the model's type, which costs the loss half of its digits.
        labels, boxes = assign(anchors, targets)
        return [each.double() for each in labels], boxes

    model.rpn.assign_targets_to_anchors = in_double
    model.rpn.fg_bg_sampler = KeyedSampler(32, 0.5)
    model.roi_heads.fg_bg_sampler = KeyedSampler(16, 0.25)
    return model.train()


@pytest.mark.parametrize(
    ("name", "detector", "others"),
    [("smallconv", "c4", {}), ("resnet18", "c4", {}), ("resnet18", "fpn", {"anchor_high": 128})],
)
def test_loss_and_gradients_are_torchvisions(name, detector, others):
    chosen = settings(detector=detector, **others)
    backbone = backbone_named(name)
    task = task_for(backbone, detector=detector, **others)
    reference = torchvisions(copy.deepcopy(backbone), task, chosen)
    # Of these sides torchvision's transform, which scales the shorter one to min_size, changes none.
    batch_samples = [each for each in samples(6) if min(each.image.shape[1:]) == 64]
    assert len(batch_samples) == 3
    batch = type(task).collate(batch_samples)

    parameters = [*backbone.parameters(), *task.parameters()]
    loss = task.loss(backbone, batch)
    gradients = torch.autograd.grad(loss, parameters)

    reference.rpn.fg_bg_sampler.keys = batch.keys.tolist()
    reference.roi_heads.fg_bg_sampler.keys = [key + 1 for key in batch.keys.tolist()]
    targets = [{"boxes": each.boxes, "labels": each.classes + 1} for each in batch_samples]
    losses = reference([each.image for each in batch_samples], targets)
    expected = sum(losses.values())
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)

    names = dict(task.detector.named_parameters())
    ours = dict(zip([*(f"backbone.{n}" for n, _ in backbone.named_parameters()), *names], gradients, strict=True))
    expected_gradients = torch.autograd.grad(expected, list(reference.parameters()), allow_unused=True)
    found = {n: g for (n, _), g in zip(reference.named_parameters(), expected_gradients, strict=True)}
    compared = 0
    for n, gradient in found.items():
        own = n.replace("backbone.backbone.", "backbone.").replace("backbone.fpn", "neck.fpn")
        own = own.replace("roi_heads.box_head.layer", f"backbone.{list(backbone.parts)[-1]}")
        own = own.replace("roi_heads.box_head", "neck.box_head")
        torch.testing.assert_close(ours[own], gradient, rtol=1e-9, atol=1e-14)
        compared += 1
    assert compared == len(ours)


def test_every_parameter_of_backbone_and_task_takes_part():
    backbone = backbone_named("resnet18")
    task = task_for(backbone)
    gradients = torch.autograd.grad(task.loss(backbone, scenes()), [*backbone.parameters(), *task.parameters()])
    assert all(float(gradient.abs().max()) > 0 for gradient in gradients)


def test_the_choice_is_a_function_of_the_images_key():
    backbone, batch = Tiny().double(), scenes()
    task = task_for(backbone)
    torch.manual_seed(0)
    first = task.choice(backbone, batch)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    again = task.choice(backbone, batch)
    torch.testing.assert_close(first, again)
    assert torch.equal(torch.get_rng_state(), before)  # torch's own random numbers are left alone
    other = task.choice(backbone, batch._replace(keys=batch.keys + 2))
    assert not torch.equal(first.anchors, other.anchors)


def test_a_fixed_choice_gives_the_same_loss():
    backbone, batch = Tiny().double(), scenes()
    task = task_for(backbone)
    torch.testing.assert_close(task.loss(backbone, batch), task.loss_on(backbone, batch, task.choice(backbone, batch)))


def losses(rank, count, name):
    backbone = Tiny().double() if name == "tiny" else backbone_named(name)
    torch.manual_seed(7)
    for parameter in backbone.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    from bissl_ray.parallel import convert_batch_norm

    convert_batch_norm(backbone, "synchronised")
    task = task_for(backbone, proposals=4)
    own = samples(4)[rank * 4 // count : (rank + 1) * 4 // count]
    batch = type(task).collate(own)
    chosen = task.choice(backbone, batch)
    loss = task.loss(backbone, batch)
    gradients = torch.autograd.grad(loss, [*backbone.parameters(), *task.parameters()])
    return [*mean_over_workers([loss, *gradients]), *backbone.buffers()], len(chosen.classes), batch.images.shape


@pytest.mark.parametrize(("name", "count"), [("tiny", 2), ("tiny", 4), ("smallconv", 2)])
def test_workers_equal_one_process(name, count):
    expected, _, _ = losses(0, 1, name)
    found = run_workers(losses, count, name)
    for each, _, _ in found:
        torch.testing.assert_close(each, expected, rtol=1e-9, atol=1e-12)
    # What makes it hard: unlike numbers of regions, and images of unlike sizes.
    assert len({regions for _, regions, _ in found}) > 1
    assert len({shape for _, _, shape in found}) > 1
