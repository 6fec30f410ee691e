"""Faster R-CNN put together of torchvision's parts (Ren et al. 2015), the backbone handed to it."""

from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import (
    AnchorGenerator,
    RegionProposalNetwork,
    RPNHead,
    concat_box_prediction_layers,
)
from torchvision.ops import MultiScaleRoIAlign

from bissl_ray.config.detection import DetectionSettings
from bissl_ray.downstream.detection.necks import C4, Neck, Pyramid
from bissl_ray.downstream.detection.sampling import KeyedSampler
from bissl_ray.models import StagedBackbone

ASPECT_RATIOS: Final = (0.5, 1.0, 2.0)
MOST_FOUND: Final = 100
"""Detections of an image, as COCO counts them."""
SCORED_FROM: Final = 0.01
"""Detections of a lower score are left out. torchvision's 0.05 would leave out all of a model that begins to learn."""
_ANCHOR_POSITIVES, _REGION_POSITIVES = 0.5, 0.25


class Frame(NamedTuple):
    """Images in one frame.

    Attributes:
        images: (N, 3, H, W), padded on the right and at the bottom.
        sizes: height and width of each before that, pixels.
    """

    images: Tensor
    sizes: list[tuple[int, int]]

    @property
    def padded(self) -> list[tuple[int, int]]:
        """Height and width of each with its padding."""
        height, width = self.images.shape[-2:]
        return [(height, width)] * len(self.images)


class Proposed(NamedTuple):
    """What the region proposal network says of the anchors of all images, one image after another.

    Attributes:
        maps: that it looked at.
        anchors: of each image, (a, 4).
        objectness: (N a,), logits of holding an object.
        deltas: (N a, 4), the object's box as seen from the anchor.
        per_level: how many anchors of an image belong to each map.
    """

    maps: dict[str, Tensor]
    anchors: list[Tensor]
    objectness: Tensor
    deltas: Tensor
    per_level: list[int]


class Found(NamedTuple):
    """Detections in one image: boxes (k, 4) in its pixels, classes (k,) from 0, scores (k,), the best first."""

    boxes: Tensor
    classes: Tensor
    scores: Tensor


class Detector(nn.Module):
    """Proposals, and what is made of each region; names of parameters are torchvision's.

    Args:
        backbone: the architecture that it will be handed.
        classes: how many, the background not counted.
        settings: its sizes.

    Attributes:
        rpn: proposes regions.
        neck: what is made of the backbone.
        roi_heads: cuts out regions and says what they show.
    """

    def __init__(self, backbone: StagedBackbone, classes: int, settings: DetectionSettings) -> None:
        super().__init__()
        pyramid = settings.detector == "fpn"
        self.neck: Neck = Pyramid(backbone, settings.region_size) if pyramid else C4(backbone)
        sides = anchor_sides(settings)
        levels = tuple((side,) for side in sides) if pyramid else (sides,)
        anchors = AnchorGenerator(levels, (ASPECT_RATIOS,) * len(levels))
        kept = {"training": 2 * settings.proposals, "testing": settings.proposals}
        head = RPNHead(self.neck.channels, anchors.num_anchors_per_location()[0])
        self.rpn = RegionProposalNetwork(
            anchors, head, 0.7, 0.3, settings.anchor_batch, _ANCHOR_POSITIVES, kept, kept, nms_thresh=0.7
        )
        self.rpn.fg_bg_sampler = KeyedSampler(settings.anchor_batch, _ANCHOR_POSITIVES)
        self.roi_heads = RoIHeads(
            MultiScaleRoIAlign(list(self.neck.pooled_from), settings.region_size, sampling_ratio=2),
            nn.Identity(),
            FastRCNNPredictor(self.neck.width, classes + 1),
            fg_iou_thresh=0.5,
            bg_iou_thresh=0.5,
            batch_size_per_image=settings.region_batch,
            positive_fraction=_REGION_POSITIVES,
            bbox_reg_weights=None,
            score_thresh=SCORED_FROM,
            nms_thresh=0.5,
            detections_per_img=MOST_FOUND,
        )
        self.roi_heads.fg_bg_sampler = KeyedSampler(settings.region_batch, _REGION_POSITIVES)

    def propose(self, backbone: StagedBackbone, frame: Frame) -> Proposed:
        """Look at images: the backbone's maps, and what the region proposal network makes of them."""
        maps = {name: self._own_type(level) for name, level in self.neck.maps(backbone, frame.images).items()}
        levels = list(maps.values())
        objectness, deltas = self.rpn.head(levels)
        anchors = self.rpn.anchor_generator(ImageList(frame.images, frame.sizes), levels)
        per_level = [int(level[0].numel()) for level in objectness]
        objectness, deltas = concat_box_prediction_layers(objectness, deltas)
        return Proposed(maps, anchors, self._own_type(objectness.flatten()), self._own_type(deltas), per_level)

    @torch.no_grad()
    def regions(self, proposed: Proposed, frame: Frame) -> list[Tensor]:
        """The proposals of each image, (r, 4) with r of at least 1, the likeliest first, as many as the mode allows."""
        boxes = self.rpn.box_coder.decode(proposed.deltas.detach(), proposed.anchors)
        boxes = boxes.view(len(frame.sizes), -1, 4)
        kept, _ = self.rpn.filter_proposals(boxes, proposed.objectness.detach(), frame.sizes, proposed.per_level)
        # A detector that has lost its way may propose nothing: then the whole image is a region.
        whole = [boxes.new_tensor([[0.0, 0.0, width, height]]) for height, width in frame.sizes]
        return [own if len(own) else other for own, other in zip(kept, whole, strict=True)]

    def judge(
        self, backbone: StagedBackbone, proposed: Proposed, frame: Frame, regions: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """What each region of all images shows, R in all.

        Returns:
            Logits (R, classes + 1) of the background and each class; and, as seen from the region, the box of an object
            of each of these, (R, 4 (classes + 1)).
        """
        cut_out = self.roi_heads.box_roi_pool(proposed.maps, regions, frame.padded)
        described = self._own_type(self.neck.describe(backbone, cut_out))
        # Not in bfloat16, whatever the backbone's arithmetic: scores would tie, and boxes be off by pixels.
        with torch.autocast(described.device.type, enabled=False):
            logits, deltas = self.roi_heads.box_predictor(described)
        return logits, deltas

    @torch.no_grad()
    def find(self, backbone: StagedBackbone, frame: Frame) -> list[Found]:
        """Detect objects; the modules are to be in evaluation mode."""
        proposed = self.propose(backbone, frame)
        regions = self.regions(proposed, frame)
        logits, deltas = self.judge(backbone, proposed, frame, regions)
        boxes, scores, labels = self.roi_heads.postprocess_detections(logits, deltas, regions, frame.sizes)
        return [Found(b, label - 1, s) for b, label, s in zip(boxes, labels, scores, strict=True)]

    def _own_type(self, values: Tensor) -> Tensor:
        return values.to(self.roi_heads.box_predictor.cls_score.weight.dtype)


def anchor_sides(settings: DetectionSettings) -> tuple[int, ...]:
    """Sides of square anchors, each twice the one before, pixels."""
    doublings = (settings.anchor_high // settings.anchor_low).bit_length()
    return tuple(settings.anchor_low << n for n in range(doublings))
