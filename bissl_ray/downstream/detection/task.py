"""Object detection: Faster R-CNN's loss, and average precision over a split."""

from collections.abc import Iterable, Mapping, Sequence
from pkgutil import resolve_name
from typing import Any, Self

import torch
from PIL import Image
from torch import Tensor, nn

from bissl_ray.config.names import facts_of
from bissl_ray.config.settings import Settings
from bissl_ray.data.nested import each_tensor
from bissl_ray.data.spec import DatasetSpec, Target
from bissl_ray.downstream.base import DownstreamTask, Prepare, Scores, WholeModel, in_mode
from bissl_ray.downstream.detection import samples
from bissl_ray.downstream.detection.detector import Detector, Frame, anchor_sides
from bissl_ray.downstream.detection.found import Found as Scored
from bissl_ray.downstream.detection.losses import Choice, choose, loss_on
from bissl_ray.downstream.detection.necks import Pyramid, has_pyramid
from bissl_ray.downstream.detection.pictures import drawing
from bissl_ray.downstream.detection.samples import Scenes, in_frame
from bissl_ray.downstream.detection.tally import DetectionTally
from bissl_ray.downstream.detection.torchvision_model import torchvision_model
from bissl_ray.downstream.detection.unpacking import counted_of, keys_of, one_frame, truths_of
from bissl_ray.errors import BadInputError
from bissl_ray.models import Backbone, StagedBackbone
from bissl_ray.parallel import Group


class DetectionTask(DownstreamTask):
    """Finds the objects of `classes` classes in images of any size.

    Args:
        backbone: the architecture that it will be handed.
        classes: how many classes there are.
        settings: of the trial.

    Attributes:
        classes: how many classes there are.
        detector: proposals and the classification of regions, φ_D.
    """

    metrics = ("ap", "ap50", "ap75", "voc07_ap50", "voc12_ap50")
    evaluation_batch = 16

    def __init__(self, backbone: StagedBackbone, classes: int, settings: Settings) -> None:
        super().__init__()
        self.classes = classes
        self._settings = settings
        self.detector = Detector(backbone, classes, settings)

    @classmethod
    def check(cls, spec: DatasetSpec, settings: Settings) -> None:
        """Refuse backbones that a detector can't look into, and anchors that don't suit a pyramid."""
        kind: Any = resolve_name(facts_of(settings.backbone).place)
        if not issubclass(kind, StagedBackbone):
            raise BadInputError(
                f"backbone is {settings.backbone}, and the detector that {spec.title} needs works on the parts of a "
                "residual network: take one of torchvision's, such as resnet50 or resnet18, or smallconv"
            )
        if settings.detector != "fpn":
            return
        strides = getattr(kind, "strides", {})
        if not has_pyramid(strides):
            raise BadInputError(
                f"detector is fpn with backbone {settings.backbone}; expected one whose parts halve the resolution one "
                "by one, such as resnet50: change the backbone, or take detector c4"
            )
        sides = anchor_sides(settings)
        if len(sides) != Pyramid.levels:
            raise BadInputError(
                f"anchors of {', '.join(map(str, sides))} pixels (anchor_low, anchor_high) with detector fpn; expected "
                f"{Pyramid.levels} sides, one for each of its maps: make anchor_high {2 ** (Pyramid.levels - 1)} times "
                "anchor_low"
            )

    @classmethod
    def build(cls, backbone: Backbone, classes: int | None, settings: Settings) -> Self:
        """The task of a trial."""
        if not isinstance(backbone, StagedBackbone) or not classes:
            found = f"backbone {backbone.architecture}" if classes else "a dataset without classes"
            raise BadInputError(f"found {found}; a detector needs a residual network, and a class to find")
        return cls(backbone, classes, settings)

    @classmethod
    def train_sample(cls, spec: DatasetSpec, settings: Settings) -> Prepare:
        """An augmented image and its boxes, as `samples.Sample`."""
        return samples.train_sample(spec, settings)

    @classmethod
    def evaluation_sample(cls, spec: DatasetSpec, settings: Settings) -> Prepare:
        """An image resized, and its boxes."""
        return samples.evaluation_sample(spec, settings)

    @classmethod
    def collate(cls, samples_: Sequence[Any]) -> Scenes:
        """Images in one frame, their boxes one after another."""
        return samples.collate(samples_)

    def loss(self, backbone: nn.Module, batch: Scenes, group: Group = None) -> Tensor:
        """The loss over this worker's images; see `DownstreamTask.loss` and `losses.loss_on`."""
        return self.loss_on(backbone, batch, None, group)

    def choice(self, backbone: nn.Module, batch: Scenes, group: Group = None) -> Choice:
        """The anchors and regions that `loss` chooses for these parameters."""
        frame = one_frame(batch, group)
        with torch.no_grad():
            return choose(
                self.detector, self.detector.propose(_staged(backbone), frame), frame, truths_of(batch), keys_of(batch)
            )

    def loss_on(self, backbone: nn.Module, batch: Scenes, choice: Choice | None, group: Group = None) -> Tensor:
        """The loss on anchors and regions that were chosen; None: chosen here."""
        frame = one_frame(batch, group)
        proposed = self.detector.propose(_staged(backbone), frame)
        if choice is None:
            choice = choose(self.detector, proposed, frame, truths_of(batch), keys_of(batch))
        return loss_on(self.detector, _staged(backbone), proposed, frame, choice, group)

    def evaluate(self, backbone: nn.Module, batches: Iterable[Scenes], group: Group = None) -> dict[str, float]:
        """Score a model on a split; see `DownstreamTask.evaluate` and `DetectionTally.figures`."""
        return self._tallied(backbone, batches).figures(group)

    def scores(self, backbone: nn.Module, batches: Iterable[Scenes], group: Group = None) -> Scores:
        """The same, with average precisions and the number of objects of each class."""
        tally = self._tallied(backbone, batches)
        rows = [row._asdict() for row in tally.by_class(group)]
        columns = {name: [row[name] for row in rows] for name in rows[0] if name != "number"}
        return Scores(tally.figures(group), columns)

    def picture(
        self, backbone: nn.Module, image: Any, target: Target, spec: DatasetSpec, class_names: Sequence[str]
    ) -> Image.Image:
        """The image with its objects, beside the same with those that are found."""
        sample = self.evaluation_sample(spec, self._settings)(image, target)
        device = next(self.parameters()).device
        batch = each_tensor(self.collate([sample]), lambda tensor: tensor.to(device))
        with in_mode(False, backbone, self):
            return drawing(image, target, self.find(backbone, batch)[0], class_names)

    @classmethod
    def whole_model(
        cls, backbone: Mapping[str, Tensor], head: Mapping[str, Tensor], settings: Settings, spec: DatasetSpec
    ) -> WholeModel:
        """A FasterRCNN of torchvision's."""
        return torchvision_model(backbone, head, settings, spec)

    def _tallied(self, backbone: nn.Module, batches: Iterable[Scenes]) -> DetectionTally:
        device = next(self.parameters()).device
        tally = DetectionTally(self.classes, device)
        with torch.no_grad(), in_mode(False, backbone, self):
            for batch in batches:
                for found, counted in zip(self.find(backbone, batch), counted_of(batch), strict=True):
                    tally.add(found, counted)
        return tally

    def find(self, backbone: nn.Module, batch: Scenes) -> list[Scored]:
        """Detections in each image, in pixels of the annotated one; the modules are to be in evaluation mode.

        Each image is looked at in the smallest frame that it fits, so that what is found in it doesn't depend on which
        others are in its batch, and with that on the number of workers.
        """
        by_frame: dict[tuple[int, int], list[int]] = {}
        sizes = [(int(height), int(width)) for height, width in batch.sizes.tolist()]
        for index, (height, width) in enumerate(sizes):
            by_frame.setdefault((in_frame(height), in_frame(width)), []).append(index)
        scores: dict[int, Scored] = {}
        for (height, width), inside in by_frame.items():
            frame = Frame(batch.images[inside, :, :height, :width], [sizes[index] for index in inside])
            for index, found in zip(inside, self.detector.find(_staged(backbone), frame), strict=True):
                scale = batch.annotated[index].double() / batch.sizes[index]
                scores[index] = Scored(found.boxes * scale.flip(0).repeat(2), found.scores, found.classes)
        return [scores[index] for index in range(len(sizes))]


def _staged(backbone: nn.Module) -> StagedBackbone:
    assert isinstance(backbone, StagedBackbone), "a detector is handed the kind of backbone that it was built for"
    return backbone
