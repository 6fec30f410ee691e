"""Digit scenes: the scans of `digits` laid on textured ground, 2 to 5 in a scene of 64 x 64 pixels, each with its box.

A task of detection that needs no download. The scans are split as those of `digits` are, and the scenes of a split
show its own scans only: test scenes are the same under every split seed, and none of their scans is ever trained on.
The pretext pool is the training scenes and more of the same scans, without labels.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from bissl_ray.data.checks.objects import check_objects
from bissl_ray.data.datasets.digits import Scans, split_scans
from bissl_ray.data.spec import DatasetSpec, DatasetSplits, Labelled, SplitChoice

if TYPE_CHECKING:
    from bissl_ray.data.datasets.scene_drawing import Drawn
    from bissl_ray.data.files.sources import TensorImages
    from bissl_ray.data.objects import Objects
    from bissl_ray.data.splits import Indices

_TRAIN: Final = 240
_UNLABELLED: Final = 360
_VALIDATION: Final = 150
_TEST: Final = 300
_TEST_SEED: Final = 0


class _Part(NamedTuple):
    """Scenes of some scans, and the same as bytes."""

    images: "TensorImages"
    objects: "list[Objects]"
    content: bytes

    def labelled(self) -> Labelled:
        return Labelled(self.images, self.objects)


def _read(_folder: Path, choice: SplitChoice) -> DatasetSplits:
    from bissl_ray.data.files.sources import JoinedImages
    from bissl_ray.data.splits import fingerprint

    scans = split_scans(choice, SPEC.name)
    train = _drawn(scans, scans.pool, "train", _TRAIN, choice.seed)
    unlabelled = _drawn(scans, scans.pool, "unlabelled", _UNLABELLED, choice.seed)
    validation = _drawn(scans, scans.validation, "validation", _VALIDATION, choice.seed)
    test = _drawn(scans, scans.test, "test", _TEST, _TEST_SEED)
    contents = [part.content for part in (train, validation, test)]
    indices = {"train": scans.pool, "validation": scans.validation, "test": scans.test}
    return DatasetSplits(
        pretext=JoinedImages([train.images, unlabelled.images]),
        train=train.labelled(),
        validation=validation.labelled(),
        test=test.labelled(),
        classes=len(scans.names),
        fingerprint=fingerprint(SPEC.name, [*contents, unlabelled.content], indices),
        labelled_fingerprint=fingerprint(SPEC.name, contents, indices),
        validation_from=f"drawn, seed {choice.seed}",
        class_names=scans.names,
    )


def _drawn(scans: Scans, own: "Indices", part: str, count: int, seed: int) -> _Part:
    import numpy as np
    import torch

    from bissl_ray.data.datasets.scene_drawing import draw_scenes
    from bissl_ray.data.files.sources import TensorImages
    from bissl_ray.data.objects import Objects

    drawn = list(draw_scenes(scans.grey[own], count, SPEC.name, part, seed))
    pixels = np.stack([scene.pixels for scene in drawn])
    images = TensorImages(torch.from_numpy(pixels).unsqueeze(1).repeat(1, 3, 1, 1), f"{SPEC.name}, {part}")
    objects = [
        _objects(scene, scans.labels[own[scene.scans]], f"{SPEC.name}, {part} {number}")
        for number, scene in enumerate(drawn)
    ]
    return _Part(images, objects, pixels.tobytes() + Objects.packed(objects).digest())


def _objects(scene: "Drawn", classes: "Indices", image_id: str) -> "Objects":
    import numpy as np

    from bissl_ray.data.objects import Objects

    height, width = scene.pixels.shape
    none = np.zeros(len(classes), np.bool_)
    sides = scene.boxes[:, 2:] - scene.boxes[:, :2]
    shares = scene.boxes / np.array([width, height, width, height])
    return Objects(shares, classes, none, none, sides.prod(axis=1).astype(np.float64), height, width, image_id)


SPEC = DatasetSpec(
    name="digits_scenes",
    title="Digit scenes",
    classes=10,
    sizes=(_TRAIN, _VALIDATION, _TEST),
    metric="ap50",
    task="detection",
    check=check_objects,
    horizontal_flip=False,
    colour=False,
    # A digit or a few: 29 to 45 pixels of each side. Of much more, views of 32 would alias: nothing is smoothed.
    crop_scale=(0.2, 0.5),
    mean=(0.341, 0.341, 0.341),
    std=(0.186, 0.186, 0.186),
    home="it is drawn from scans that ship with scikit-learn (sklearn.datasets.load_digits).",
    layout="nothing: no data folder is needed",
    required=(),
    reader=_read,
    embedded=True,
)
