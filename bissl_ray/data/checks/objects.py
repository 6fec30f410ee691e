"""Objects looked at as a whole, before anything starts: boxes inside of their images, of classes that there are."""

from typing import TYPE_CHECKING

from bissl_ray.data.checks.targets import LABELLED
from bissl_ray.data.spec import DatasetSpec, DatasetSplits, Labelled
from bissl_ray.errors import BadInputError

if TYPE_CHECKING:
    from bissl_ray.data.objects import Objects


def check_objects(splits: DatasetSplits, spec: DatasetSpec) -> None:
    """Refuse targets that a detector would trip over: `DatasetSpec.check` of the task detection.

    Args:
        splits: whose targets are `Objects`.
        spec: the dataset's facts.

    Raises:
        BadInputError: no classes, a box that is not in its image or has no area, a class that isn't there, or a split
            without an object that is scored.
    """
    if splits.classes is None:
        raise BadInputError(f"{spec.title} ('{spec.name}') tells no classes, which the task {spec.task} needs")
    for name in LABELLED:
        part: Labelled = getattr(splits, name)
        _check_part(part, name, splits.classes, spec)


def _check_part(part: Labelled, name: str, classes: int, spec: DatasetSpec) -> None:
    from bissl_ray.data.objects import ObjectsOfImages

    targets = part.targets if isinstance(part.targets, ObjectsOfImages) else ObjectsOfImages(part.targets)
    objects = targets.together()
    place = _first_fault(objects, classes)
    if place is not None:
        image, number = targets.image_of(place)
        raise BadInputError(
            f"{part.name(image)}: its object {number + 1} {_fault(objects, place, classes)}; correct its annotation or "
            "leave the image out"
        )
    if not (~(objects.crowd | objects.difficult)).any():
        raise BadInputError(
            f"{spec.title} ('{spec.name}'): none of its {len(part):,} {name} images shows an object that is neither "
            "crowd nor difficult, so that they can't be scored; check the annotations"
        )


def _first_fault(objects: "Objects", classes: int) -> int | None:
    """The place of the first object that is wrong; all at once, as COCO has 860,000."""
    import numpy as np

    boxes, numbers = objects.boxes, objects.classes
    # Not the other way round: NaN is inside of nothing.
    inside = ((boxes >= 0) & (boxes <= 1)).all(axis=1) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    wrong = np.flatnonzero(~(inside & (numbers >= 0) & (numbers < classes)))
    return int(wrong[0]) if len(wrong) else None


def _fault(objects: "Objects", place: int, classes: int) -> str:
    number = objects.classes[place]
    if not 0 <= number < classes:
        return f"is of class {number}, but there are {classes}, 0 to {classes - 1}"
    edges = ", ".join(f"{edge:g}" for edge in objects.boxes[place])
    return f"has its box at {edges}, expected left, top, right and bottom as shares of the image's sides, of some area"
