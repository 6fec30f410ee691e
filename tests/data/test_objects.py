"""Objects of many images, kept in a few arrays."""

import pickle

import numpy as np

from bissl_ray.data import Labelled
from bissl_ray.data.files.sources import ImageFiles, joined
from bissl_ray.data.objects import Objects, ObjectsOfImages


def objects(count: int, image_id: str) -> Objects:
    boxes = np.tile([0.1, 0.2, 0.5, 0.6], (count, 1))
    none = np.zeros(count, bool)
    return Objects(boxes, np.arange(count), none, none.copy(), np.full(count, 12.5), 100, 80, image_id)


IMAGES = [objects(2, "a"), objects(0, "b"), objects(3, "c")]


def test_each_image_has_the_objects_that_it_had() -> None:
    packed = ObjectsOfImages(IMAGES)
    for before, after in zip(IMAGES, packed, strict=True):
        assert after.image_id == before.image_id and (after.height, after.width) == (100, 80)
        for one, other in zip(before[:5], after[:5], strict=True):
            np.testing.assert_array_equal(one, other)


def test_selected_joined_and_pickled_they_stay_packed(tmp_path) -> None:
    part = Labelled(ImageFiles(tmp_path, ["a.jpg", "b.jpg", "c.jpg"]), IMAGES)
    chosen = part.select([0, 2])
    both = joined([chosen, part])
    for targets, ids in (
        (chosen.targets, "ac"),
        (both.targets, "acabc"),
        (pickle.loads(pickle.dumps(part)).targets, "abc"),
    ):
        assert isinstance(targets, ObjectsOfImages)
        assert "".join(each.image_id for each in targets) == ids


def test_their_digest_tells_any_change() -> None:
    moved = IMAGES[0]._replace(boxes=IMAGES[0].boxes + 0.01)
    known = ObjectsOfImages(IMAGES)
    assert known == ObjectsOfImages(IMAGES)
    assert known != ObjectsOfImages([moved, *IMAGES[1:]]) and known != ObjectsOfImages(IMAGES[:2])
