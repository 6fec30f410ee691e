"""What a batch of scenes holds, image by image, as the detector's loss and its figures take it."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from bissl_ray.downstream.detection.detector import Frame
from bissl_ray.downstream.detection.found import Truth as Counted
from bissl_ray.downstream.detection.losses import Truth
from bissl_ray.downstream.detection.samples import Scenes
from bissl_ray.parallel import Group, all_gather, world_size


def one_frame(batch: Scenes, group: Group) -> Frame:
    """A batch as one process would frame it: the largest image of all workers' says how large the frame is."""
    images, (height, width) = batch.images, batch.images.shape[-2:]
    if world_size(group) > 1:
        largest = all_gather(torch.tensor([[height, width]], device=images.device), group).amax(dim=0).tolist()
        images = F.pad(images, (0, largest[1] - width, 0, largest[0] - height))
    return Frame(images, [(int(height), int(width)) for height, width in batch.sizes.tolist()])


def _by_image(batch: Scenes, *values: Tensor) -> Iterator[tuple[Tensor, ...]]:
    counts = batch.counts.tolist()
    return zip(*(torch.split(value, counts) for value in values), strict=True)


def truths_of(batch: Scenes) -> list[Truth]:
    """What is trained on: all but boxes that hold a group of objects."""
    parts = _by_image(batch, batch.boxes, batch.classes, batch.crowd)
    return [Truth(boxes[~crowd], classes[~crowd]) for boxes, classes, crowd in parts]


def counted_of(batch: Scenes) -> Iterator[Counted]:
    """What is scored, in pixels of the annotated images."""
    scales = batch.annotated.double() / batch.sizes
    parts = _by_image(batch, batch.boxes, batch.classes, batch.crowd, batch.difficult, batch.areas)
    for (boxes, *rest), scale in zip(parts, scales, strict=True):
        yield Counted(boxes * scale.flip(0).repeat(2), *rest)


def keys_of(batch: Scenes) -> list[int]:
    """What each image's anchors and regions are chosen by."""
    return [int(key) for key in batch.keys.tolist()]
