"""What the task detection is to find in an image: boxes, each with its class."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bissl_ray.data.files.packed import Packed


class Objects(NamedTuple):
    """The annotated objects of one image, n of them; there may be none.

    Attributes:
        boxes: float64 (n, 4): left, top, right, bottom as shares of the image's sides, each in [0, 1], of some area.
        classes: int64 (n,), from 0.
        crowd: bool (n,): the box holds a group of objects (COCO's "iscrowd"); not trained on, and neither found nor
            missed when it is scored.
        difficult: bool (n,): VOC's "difficult"; trained on, and neither found nor missed when it is scored.
        areas: float64 (n,), in pixels of the annotated image; COCO's segmented area where it is given, else the box's.
        height: of the annotated image, pixels; the decoded one may have been reduced.
        width: likewise.
        image_id: what the annotations call the image, for messages.
    """

    boxes: NDArray[np.float64]
    classes: NDArray[np.int64]
    crowd: NDArray[np.bool_]
    difficult: NDArray[np.bool_]
    areas: NDArray[np.float64]
    height: int
    width: int
    image_id: str

    @staticmethod
    def packed(images: Iterable["Objects"]) -> "ObjectsOfImages":
        """The objects of many images, as `Labelled` keeps them."""
        return ObjectsOfImages(images)


class ObjectsOfImages(Packed[Objects]):
    """The objects of many images in a few arrays; reads as a list of `Objects` does.

    Args:
        images: the objects of each.
    """

    def __init__(self, images: Iterable[Objects]) -> None:
        given = list(images)
        counts = [len(objects.classes) for objects in given]
        self._ends = np.cumsum(np.array(counts, dtype=np.int64))
        self._boxes = _joined([objects.boxes.reshape(-1, 4) for objects in given], np.empty((0, 4), np.float64))
        self._classes = _joined([objects.classes for objects in given], np.empty(0, np.int64))
        self._crowd = _joined([objects.crowd for objects in given], np.empty(0, np.bool_))
        self._difficult = _joined([objects.difficult for objects in given], np.empty(0, np.bool_))
        self._areas = _joined([objects.areas for objects in given], np.empty(0, np.float64))
        self._sides = np.array([(objects.height, objects.width) for objects in given], np.int64).reshape(-1, 2)
        self._ids = np.array([objects.image_id for objects in given], dtype=np.str_)

    def __len__(self) -> int:
        return len(self._ends)

    def _one(self, index: int) -> Objects:
        place = range(len(self))[index]
        inside = slice(int(self._ends[place - 1]) if place else 0, int(self._ends[place]))
        height, width = self._sides[place].tolist()
        return Objects(
            self._boxes[inside],
            self._classes[inside],
            self._crowd[inside],
            self._difficult[inside],
            self._areas[inside],
            height,
            width,
            str(self._ids[place]),
        )

    @staticmethod
    def of_arrays(
        counts: NDArray[np.int64], objects: Objects, sides: NDArray[np.int64], ids: Sequence[str]
    ) -> "ObjectsOfImages":
        """The objects of many images from arrays, of which no copy is made.

        Args:
            counts: objects of each image.
            objects: those of all images, one after another; its own height, width and image_id say nothing.
            sides: height and width of each image.
            ids: of each image.
        """
        made = ObjectsOfImages(())
        made._fill(np.cumsum(counts, dtype=np.int64), objects, sides, np.array(ids, dtype=np.str_))
        return made

    def _fill(self, ends: NDArray[np.int64], objects: Objects, sides: NDArray[np.int64], ids: NDArray[np.str_]) -> None:
        self._ends, self._sides, self._ids = ends, sides, ids
        self._boxes, self._classes, self._crowd, self._difficult, self._areas = objects[:5]

    def select(self, indices: Iterable[int]) -> "ObjectsOfImages":
        """Those of these indices, in this order."""
        chosen = np.arange(len(self))[np.fromiter(indices, np.int64)]
        starts = np.concatenate([[0], self._ends])[chosen]
        counts = self._ends[chosen] - starts
        ends = np.cumsum(counts, dtype=np.int64)
        inside = np.arange(counts.sum()) + np.repeat(starts - (ends - counts), counts)
        made = ObjectsOfImages(())
        objects = Objects(
            self._boxes[inside],
            self._classes[inside],
            self._crowd[inside],
            self._difficult[inside],
            self._areas[inside],
            0,
            0,
            "",
        )
        made._fill(ends, objects, self._sides[chosen], self._ids[chosen])
        return made

    def together(self) -> Objects:
        """The objects of all images, one after another; its height, width and image_id say nothing."""
        return Objects(self._boxes, self._classes, self._crowd, self._difficult, self._areas, 0, 0, "")

    def image_of(self, place: int) -> tuple[int, int]:
        """The image of an object of `together`, and the object's place among that image's own."""
        image = int(np.searchsorted(self._ends, place, side="right"))
        return image, place - (int(self._ends[image - 1]) if image else 0)

    def per_image(self) -> NDArray[np.int64]:
        """How many objects each image has, crowds aside."""
        images = np.searchsorted(self._ends, np.flatnonzero(~self._crowd), side="right")
        return np.bincount(images, minlength=len(self))

    def sides(self) -> NDArray[np.int64]:
        """Annotated height and width of each image, int64 (images, 2)."""
        return self._sides

    def shown(self, classes: int) -> NDArray[np.int64]:
        """How many objects of each class there are in all, crowds aside."""
        return np.bincount(self._classes[~self._crowd], minlength=classes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectsOfImages) and self.digest() == other.digest()

    def digest(self) -> bytes:
        """Bytes that are others when any image's objects are: what a fingerprint is made of."""
        arrays = (self._ends, self._boxes, self._classes, self._crowd, self._difficult, self._areas, self._sides)
        little = (np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes() for array in arrays)
        return b"".join([*little, "\0".join(self._ids.tolist()).encode("utf-8", "surrogateescape")])


def _joined(parts: Sequence[NDArray], none: NDArray) -> NDArray:  # type: ignore[type-arg]
    return np.concatenate([none, *parts])
