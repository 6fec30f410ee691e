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
        scored = False
        for place, objects in enumerate(part.targets):
            fault = _fault(objects, splits.classes)
            if fault:
                raise BadInputError(f"{part.name(place)}: {fault}; correct its annotation or leave the image out")
            scored = scored or bool((~(objects.crowd | objects.difficult)).any())
        if not scored:
            raise BadInputError(
                f"{spec.title} ('{spec.name}'): none of its {len(part):,} {name} images shows an object that is "
                "neither crowd nor difficult, so that they can't be scored; check the annotations"
            )


def _fault(objects: "Objects", classes: int) -> str:
    """What is wrong with an image's objects, beginning with the first; empty: nothing."""
    import numpy as np

    boxes, numbers = objects.boxes, objects.classes
    # Not the other way round: NaN is inside of nothing.
    inside = ((boxes >= 0) & (boxes <= 1)).all(axis=1) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    known = (numbers >= 0) & (numbers < classes)
    for place in np.flatnonzero(~(inside & known))[:1].tolist():
        if not known[place]:
            return f"its object {place + 1} is of class {numbers[place]}, but there are {classes}, 0 to {classes - 1}"
        edges = ", ".join(f"{edge:g}" for edge in boxes[place])
        return (
            f"its object {place + 1} has its box at {edges}, expected left, top, right and bottom as shares of the "
            "image's sides, of some area"
        )
    return ""
