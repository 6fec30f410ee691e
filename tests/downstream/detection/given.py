"""Detectors small enough for exact derivatives, and scenes for them."""

from types import MappingProxyType

import torch
from torch import Tensor, nn

from bissl_ray.config.settings import Settings
from bissl_ray.downstream.detection.samples import Sample, Scenes, collate
from bissl_ray.downstream.detection.task import DetectionTask
from bissl_ray.models import Backbone, StagedBackbone, build_backbone
from tests.detector import SMALL_DETECTOR

CLASSES = 3
SMALL = {**SMALL_DETECTOR, "image_size": 16, "anchor_batch": 32, "proposals": 20, "region_batch": 16}


def settings(**others) -> Settings:
    return Settings(**{"backbone": "smallconv", **SMALL, **others})


class Tiny(StagedBackbone):
    """Two parts with batch norm between them, smooth: 302 parameters, strides 4 and 4."""

    channels = MappingProxyType({"stem": 4, "layer1": 6})
    strides = MappingProxyType({"stem": 4, "layer1": 4})

    def __init__(self) -> None:
        super().__init__("tiny", feature_dim=6, parts={"stem": ("stem",), "layer1": ("layer1",)})
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 4, stride=4, bias=False), nn.BatchNorm2d(4), nn.Tanh())
        self.layer1 = nn.Sequential(nn.Conv2d(4, 6, 2), nn.Tanh())

    @classmethod
    def build(cls, name, image_size, batch_norm):
        return cls()

    def through(self, part: str, activations: Tensor) -> Tensor:
        return self.get_submodule(part)(activations)

    def forward(self, images: Tensor) -> Tensor:
        return self.through("layer1", self.through("stem", images)).mean(dim=(2, 3))


def task_for(backbone: Backbone, seed: int = 5, **others) -> DetectionTask:
    """A task in float64, with weights that already say something."""
    torch.manual_seed(seed)
    task = DetectionTask.build(backbone, CLASSES, settings(**others)).double()
    with torch.no_grad():
        for parameter in task.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return task


def backbone_named(name: str) -> StagedBackbone:
    torch.manual_seed(3)
    backbone = build_backbone(name, "synchronised", 16).double()
    assert isinstance(backbone, StagedBackbone)
    return backbone


def sample(number: int, sides: tuple[int, int], objects: int) -> Sample:
    """Noise with some boxes, float64."""
    drawn = torch.Generator().manual_seed(100 + number)
    height, width = sides
    corners = torch.rand(objects, 2, dtype=torch.float64, generator=drawn) * torch.tensor([width - 24, height - 24])
    extent = 8 + 16 * torch.rand(objects, 2, dtype=torch.float64, generator=drawn)
    none = torch.zeros(objects, dtype=torch.bool)
    return Sample(
        image=torch.randn(3, height, width, dtype=torch.float64, generator=drawn),
        boxes=torch.cat([corners, corners + extent], dim=1),
        classes=torch.randint(CLASSES, (objects,), generator=drawn),
        crowd=none,
        difficult=none.clone(),
        areas=extent.prod(dim=1),
        annotated=torch.tensor(sides),
        key=torch.randint(2**62, (), generator=drawn),
    )


SIDES = [(64, 64), (48, 60), (30, 60), (32, 40), (64, 64), (64, 80)]
"""Of several sizes: the frame that a batch shares is that of its largest."""


def samples(count: int = 4) -> list[Sample]:
    """The third image has no object."""
    return [sample(n, SIDES[n % len(SIDES)], 0 if n == 2 else 1 + n % 3) for n in range(count)]


def scenes(count: int = 4) -> Scenes:
    return collate(samples(count))
