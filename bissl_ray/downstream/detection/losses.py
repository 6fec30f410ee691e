"""The loss of Faster R-CNN (Ren et al. 2015, equation 1; Girshick 2015) on anchors and regions that were chosen.

The choice is apart from the loss: held fixed, the loss is a function of the parameters whose gradient is what autograd
gives, on any number of workers.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from bissl_ray.downstream.detection.detector import Detector, Frame, Proposed
from bissl_ray.models import StagedBackbone
from bissl_ray.parallel import Group, all_reduce_sum, world_size

_TURN = 1 / 9
"""Where the smooth L1 loss turns from a square to a line, as in torchvision."""
_OF_REGIONS = 1
"""Added to an image's key, so that its regions are drawn by another one than its anchors."""


class Truth(NamedTuple):
    """The objects of one image that are trained on: boxes (n, 4) in its pixels, classes int64 (n,) from 0."""

    boxes: Tensor
    classes: Tensor


class Choice(NamedTuple):
    """What the loss of some images is taken on, and what it should become; without graph.

    Attributes:
        anchors: int64 (A,), places among all anchors of all images.
        is_object: bool (A,).
        anchor_targets: (A, 4): the object's box as seen from the anchor; where there is none, it means nothing.
        regions: of each image, (r, 4), pixels; R in all.
        classes: int64 (R,), 0 the background.
        region_targets: (R, 4), likewise.
    """

    anchors: Tensor
    is_object: Tensor
    anchor_targets: Tensor
    regions: list[Tensor]
    classes: Tensor
    region_targets: Tensor


@torch.no_grad()
def choose(
    detector: Detector, proposed: Proposed, frame: Frame, truths: Sequence[Truth], keys: Sequence[int]
) -> Choice:
    """Choose anchors and regions, half and a quarter of them on objects at most.

    Args:
        detector: its modules' mode says how many proposals there are to choose from.
        proposed: as `Detector.propose` gave it.
        frame: the images.
        truths: of each image.
        keys: of each image; the same key, the same choice among the same candidates.
    """
    rpn, heads = detector.rpn, detector.roi_heads
    targets = [{"boxes": truth.boxes.to(proposed.deltas), "labels": truth.classes + 1} for truth in truths]
    labels, matched = rpn.assign_targets_to_anchors(proposed.anchors, targets)
    rpn.fg_bg_sampler.keys = keys
    on_object, beside = (torch.cat(marked) for marked in rpn.fg_bg_sampler(labels))
    anchors = torch.where(on_object | beside)[0]
    anchor_targets = torch.cat(rpn.box_coder.encode(matched, proposed.anchors))[anchors]
    heads.fg_bg_sampler.keys = [key + _OF_REGIONS for key in keys]
    regions, _, classes, region_targets = heads.select_training_samples(detector.regions(proposed, frame), targets)
    return Choice(
        anchors, on_object[anchors], anchor_targets, regions, torch.cat(classes), torch.cat(list(region_targets))
    )


def loss_on(
    detector: Detector,
    backbone: StagedBackbone,
    proposed: Proposed,
    frame: Frame,
    choice: Choice,
    group: Group = None,
) -> Tensor:
    """The loss on a choice: are anchors objects, and where; what do regions show, and where (collective).

    Each sum is divided by the anchors or regions that all workers chose, which images with few proposals make unlike:
    the mean over workers is the loss on the global batch, to the last digit.

    Returns:
        A scalar with its graph.
    """
    logits, deltas = detector.judge(backbone, proposed, frame, choice.regions)
    counts = torch.tensor([len(choice.anchors), len(choice.classes)], dtype=logits.dtype, device=logits.device)
    per_anchor, per_region = (world_size(group) / all_reduce_sum(counts, group)).unbind()
    objectness = F.binary_cross_entropy_with_logits(
        proposed.objectness[choice.anchors], choice.is_object.to(logits.dtype), reduction="sum"
    )
    place = choice.anchors[choice.is_object]
    anchor_boxes = _smooth_l1(proposed.deltas[place], choice.anchor_targets[choice.is_object])
    classification = F.cross_entropy(logits, choice.classes, reduction="sum")
    of_object = torch.where(choice.classes > 0)[0]
    by_class = deltas.view(len(deltas), -1, 4)[of_object, choice.classes[of_object]]
    region_boxes = _smooth_l1(by_class, choice.region_targets[of_object])
    return per_anchor * (objectness + anchor_boxes) + per_region * (classification + region_boxes)


def _smooth_l1(found: Tensor, expected: Tensor) -> Tensor:
    return F.smooth_l1_loss(found, expected.to(found.dtype), beta=_TURN, reduction="sum")
