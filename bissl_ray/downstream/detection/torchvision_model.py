"""A detector as one of torchvision's: its tensors under the names that they have there, and the code that builds it."""

from collections.abc import Mapping
from typing import Final

from torch import Tensor

from bissl_ray.config.names import RESNETS, parts_of
from bissl_ray.config.settings import Settings
from bissl_ray.data.spec import DatasetSpec
from bissl_ray.downstream.base import WholeModel
from bissl_ray.downstream.detection.detector import ASPECT_RATIOS, MOST_FOUND, SCORED_FROM, anchor_sides
from bissl_ray.downstream.detection.located import longest_side

_STEM: Final = ("conv1", "bn1", "relu", "maxpool")
_IMPORTS: Final = """\
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.rpn import AnchorGenerator
from torchvision.ops import MultiScaleRoIAlign"""


def torchvision_model(
    backbone: Mapping[str, Tensor], head: Mapping[str, Tensor], settings: Settings, spec: DatasetSpec
) -> WholeModel:
    """Name the tensors of a detector as torchvision does.

    Args:
        backbone: its tensors by name.
        head: those of the task.
        settings: of the trial.
        spec: the dataset's facts.
    """
    task = {name.removeprefix("detector."): tensor for name, tensor in head.items()}
    classes = len(task["roi_heads.box_predictor.cls_score.bias"]) - 1
    pyramid = settings.detector == "fpn"
    *_, last = parts_of(settings.backbone)
    tensors: dict[str, Tensor] = {}
    for name, tensor in backbone.items():
        own = f"backbone.body.{name}" if pyramid else f"backbone.{name}"
        tensors[own if pyramid or not name.startswith(f"{last}.") else f"roi_heads.box_head.{name}"] = tensor
    for name, tensor in task.items():
        own = name.replace("neck.fpn.", "backbone.fpn.").replace("neck.box_head.", "roi_heads.box_head.")
        tensors[own] = tensor
    lines = [*(_pyramid(settings) if pyramid else _c4(settings, last, task)), *_model(settings, spec, classes)]
    return WholeModel(tensors, "\n".join(lines), "detector", classes)


def _c4(settings: Settings, last: str, task: Mapping[str, Tensor]) -> list[str]:
    name = settings.backbone
    stem, *between, _ = parts_of(name)
    if name in RESNETS:
        shared = (*_STEM, *between)
        source, build = f"from torchvision.models import {name}", f"network = {name}()"
    else:
        shared = (stem, *between)
        source, build = "from bissl_ray.models import build_backbone", f'network = build_backbone("{name}")'
    outputs, width = task["roi_heads.box_predictor.cls_score.weight"].shape
    return [
        "from collections import OrderedDict",
        source,
        _IMPORTS,
        "from torchvision.models.detection.faster_rcnn import FastRCNNPredictor",
        build,
        f"shared = torch.nn.Sequential(OrderedDict((name, getattr(network, name)) for name in {shared!r}))",
        f"shared.out_channels = {task['rpn.head.conv.0.0.weight'].shape[1]}",
        f'parts = [("{last}", network.{last}), ("pool", torch.nn.AdaptiveAvgPool2d(1)), ("flat", torch.nn.Flatten())]',
        "box = {",
        '    "box_head": torch.nn.Sequential(OrderedDict(parts)),',
        f'    "box_predictor": FastRCNNPredictor({width}, {outputs}),',
        f'    "box_roi_pool": MultiScaleRoIAlign(["0"], {settings.region_size}, 2),',
        "}",
        f"anchors = AnchorGenerator(({anchor_sides(settings)},), ({ASPECT_RATIOS},))",
    ]


def _pyramid(settings: Settings) -> list[str]:
    sides = tuple((side,) for side in anchor_sides(settings))
    return [
        _IMPORTS,
        "from torchvision.models.detection.backbone_utils import resnet_fpn_backbone",
        f'shared = resnet_fpn_backbone(backbone_name="{settings.backbone}", weights=None, trainable_layers=5,',
        "                             norm_layer=torch.nn.BatchNorm2d)",
        f'box = {{"box_roi_pool": MultiScaleRoIAlign(["0", "1", "2", "3"], {settings.region_size}, 2)}}',
        f"anchors = AnchorGenerator({sides}, ({ASPECT_RATIOS},) * {len(sides)})",
    ]


def _model(settings: Settings, spec: DatasetSpec, classes: int) -> list[str]:
    side, kept = settings.detection_side, settings.proposals
    number = f"num_classes={classes + 1}, " if settings.detector == "fpn" else ""
    return [
        f"model = FasterRCNN(shared, {number}min_size={side}, max_size={longest_side(side)},",
        f"                   image_mean={list(spec.mean)}, image_std={list(spec.std)},",
        "                   rpn_anchor_generator=anchors,",
        f"                   rpn_pre_nms_top_n_test={kept}, rpn_post_nms_top_n_test={kept},",
        f"                   box_score_thresh={SCORED_FROM}, box_detections_per_img={MOST_FOUND}, **box)",
    ]
