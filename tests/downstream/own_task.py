"""A task and a dataset that live outside of the package: where in a black frame is the digit?

Importing this module registers both, as a plugin does (BISSL_RAY_PLUGINS=tests.downstream.own_task).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bissl_ray.config.settings import Settings
from bissl_ray.data import DatasetSpec, DatasetSplits, Labelled, SplitChoice, Target
from bissl_ray.data.checks.targets import LABELLED
from bissl_ray.data.datasets import digits, registry
from bissl_ray.data.files.sources import TensorImages
from bissl_ray.downstream import TASKS, DownstreamTask, Prepare, in_mode, refuse_no_images
from bissl_ray.errors import BadInputError
from bissl_ray.metrics import METRICS, Metric
from bissl_ray.models import Backbone
from bissl_ray.parallel import Group, all_reduce_sum

FRAME, DIGIT = 24, 8  # pixels; a digit begins at one of 17
Boxes = tuple[Tensor, Tensor]  # images (n, 3, S, S); left, top, right, bottom as shares of the sides (n, 4)


@dataclass(frozen=True)
class Cropped:
    """A square crop, resized, and the box as the crop shows it: a random one that holds the box, or the whole image."""

    spec: DatasetSpec
    image_size: int
    random: bool

    def __call__(self, image: Tensor, box: Target) -> Boxes:
        whole = side = image.shape[-1]
        corners, left, top = torch.tensor(box) * whole, 0, 0
        if self.random:
            side = int(torch.randint(whole * 7 // 10, whole + 1, ()))
            lowest, highest = (corners[2:] - side).clamp_min(0), corners[:2].clamp_max(whole - side)
            left, top = (lowest + (highest - lowest) * torch.rand(2)).round().int().tolist()
        crop = image[None, :, top : top + side, left : left + side].float() / 255
        resized = F.interpolate(crop, (self.image_size, self.image_size), mode="bilinear")[0]
        return (resized - self.spec.mean[0]) / self.spec.std[0], (corners - torch.tensor([left, top] * 2)) / side


class Boxed(DownstreamTask):
    """One box an image: smooth L1 of its four numbers, judged by intersection over union, mean over images."""

    metrics = ("mean_iou",)

    def __init__(self, feature_dim: int) -> None:
        super().__init__()
        self.corners = nn.Sequential(nn.Linear(feature_dim, 32), nn.Tanh(), nn.Linear(32, 4))

    @classmethod
    def build(cls, backbone: Backbone, classes: int | None, settings: Settings) -> Self:
        return cls(backbone.feature_dim)

    @classmethod
    def train_sample(cls, spec: DatasetSpec, settings: Settings) -> Prepare:
        return Cropped(spec, settings.image_size, random=True)

    @classmethod
    def evaluation_sample(cls, spec: DatasetSpec, settings: Settings) -> Prepare:
        return Cropped(spec, settings.image_size, random=False)

    def loss(self, backbone: nn.Module, batch: Boxes) -> Tensor:
        images, boxes = batch
        return F.smooth_l1_loss(self.corners(backbone(images)).float(), boxes, beta=0.1)

    def evaluate(self, backbone: nn.Module, batches: Iterable[Boxes], group: Group = None) -> dict[str, float]:
        totals = torch.zeros(2, dtype=torch.float64, device=next(self.parameters()).device)
        with torch.no_grad(), in_mode(False, backbone, self):
            for images, boxes in batches:
                ious = iou(self.corners(backbone(images)).double(), boxes.double())
                totals += torch.stack([ious.sum(), torch.ones_like(ious).sum()])
        total, count = all_reduce_sum(totals, group).tolist()
        if not count:
            raise refuse_no_images()
        return {"mean_iou": total / count}


def iou(found: Tensor, boxes: Tensor) -> Tensor:
    """Intersection over union of pairs of boxes, (n,)."""
    both = torch.cat([torch.maximum(found, boxes)[:, :2], torch.minimum(found, boxes)[:, 2:]], dim=1)
    one, other, shared = ((b[:, 2:] - b[:, :2]).clamp_min(0).prod(1) for b in (found, boxes, both))
    return shared / (one + other - shared)


def framed(part: Labelled, seed: int) -> Labelled:
    """Each digit pasted somewhere in a black frame, drawn from the seed, and where it is."""
    frames = torch.zeros(len(part), 3, FRAME, FRAME, dtype=torch.uint8)
    places = torch.randint(17, (len(part), 2), generator=torch.Generator().manual_seed(seed)).tolist()
    for index, (x, y) in enumerate(places):
        frames[index, :, y : y + DIGIT, x : x + DIGIT] = part[index][0]
    boxes = [(x / FRAME, y / FRAME, (x + DIGIT) / FRAME, (y + DIGIT) / FRAME) for x, y in places]
    return Labelled(TensorImages(frames, f"framed digits, part {seed}"), boxes)


def read(folder: Any, choice: SplitChoice) -> DatasetSplits:
    splits = digits.SPEC.reader(folder, choice)
    parts: dict[str, Any] = {name: framed(getattr(splits, name), seed) for seed, name in enumerate(LABELLED)}
    parts |= {"pretext": parts["train"].images, "fingerprint": sha256(splits.fingerprint.encode()).hexdigest()}
    return replace(splits, **parts, classes=None, class_names=None)


def check(splits: DatasetSplits, spec: DatasetSpec) -> None:
    for box in (box for part in LABELLED for box in getattr(splits, part).targets):
        if len(box) != 4 or not (0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1):
            raise BadInputError(f"{spec.title}: {box!r} is no box")


FACTS = {"name": "framed", "title": "Framed digits", "classes": None, "metric": "mean_iou", "task": "boxed"}
SPEC = replace(digits.SPEC, **FACTS, check=check, reader=read)
METRICS["mean_iou"], TASKS["boxed"] = Metric("mean_iou", "mean IoU"), f"{__name__}:Boxed"
registry.DATASETS["framed"] = SPEC
