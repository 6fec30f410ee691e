"""A person's folder in COCO's form: every layout is read, and what people have is taken as it is."""

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bissl_ray.config import load_search_space
from bissl_ray.data import SplitChoice, get_dataset
from bissl_ray.data.objects import ObjectsOfImages
from bissl_ray.errors import BadInputError
from tests.cli.command import run_here
from tests.data.datasets.coco_given import (
    COCO,
    ONE,
    TRAIN,
    VAL,
    Document,
    all_objects,
    changed,
    names,
    set_first,
    sizes,
)
from tests.data.tiny.coco import LAYOUTS, SHAPES, write_json, write_tiny_coco

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("layout", sorted({*LAYOUTS} - {"one file"}))
@pytest.mark.parametrize(
    ("given", "split", "said"),
    [
        ({"train": 20, "val": 4, "test": 5}, (20, 4, 5), "from {folder}/"),
        ({"train": 20, "val": 4}, (18, 2, 4), "drawn, seed 0; val, as published, is the test split"),
        ({"train": 20, "test": 5}, (18, 2, 5), "drawn, seed 0"),
        ({"train": 10}, (6, 2, 2), "drawn, seed 0"),
    ],
    ids=["all", "without test", "without val", "train"],
)
def test_every_layout(tmp_path: Path, layout: str, given: dict[str, int], split: tuple[int, ...], said: str) -> None:
    splits = COCO.open(write_tiny_coco(tmp_path, given, layout))
    assert sizes(splits) == split and splits.class_names == SHAPES
    assert splits.validation_from.startswith(said.format(folder=tmp_path))
    assert len({*names(splits.train), *names(splits.validation), *names(splits.test)}) == sum(given.values())
    assert isinstance(splits.train.targets, ObjectsOfImages) and splits.train[0][0].size == (64, 64)


def test_boxes_lie_where_the_shapes_are(tmp_path: Path) -> None:
    splits = COCO.open(write_tiny_coco(tmp_path))
    for image, objects in splits.train:
        for (left, top, right, bottom), label in zip(objects.boxes * 64, objects.classes.tolist(), strict=True):
            inside = np.asarray(image)[int(top) : int(bottom), int(left) : int(right)].reshape(-1, 3)
            assert inside.mean(axis=0).argmax() == label


def test_what_is_published_beside_the_boxes_is_passed_over(tmp_path: Path) -> None:
    write_tiny_coco(tmp_path, {"train": 10, "val": 4})
    for name in ("captions_train2017", "person_keypoints_train2017", "image_info_test2017", "stuff_val2017"):
        write_json(tmp_path / "annotations" / f"{name}.json", {})
    assert sizes(COCO.open(tmp_path)) == (9, 1, 4)


@pytest.mark.parametrize(
    "prefix", ["", "./", "train2017/", "images/", "../images/", "images\\"], ids=lambda prefix: prefix or "none"
)
def test_names_relative_to_any_usual_place(tmp_path: Path, prefix: str) -> None:
    write_tiny_coco(tmp_path, {"train": 10})
    if "images" in prefix:
        (tmp_path / "train2017").rename(tmp_path / "images")
    changed(
        tmp_path / TRAIN,
        lambda content: [row.update(file_name=prefix + row["file_name"]) for row in content["images"]],
    )
    folder = "images" if "images" in prefix else "train2017"
    assert {Path(name).parent for name in names(COCO.open(tmp_path).train)} == {tmp_path / folder}


def test_splits_are_the_same_for_test_under_every_seed(one: Path) -> None:
    first, other = (COCO.open(one, SplitChoice(seed)) for seed in (0, 1))
    assert names(first.test) == names(other.test) and names(first.validation) != names(other.validation)
    assert first.fingerprint != other.fingerprint == COCO.open(one, SplitChoice(1)).fingerprint
    assert not {*names(first.train), *names(first.validation)} & {*names(first.test)}


def test_another_box_class_name_or_file_is_another_fingerprint(one: Path) -> None:
    seen = {COCO.open(one).fingerprint}
    changed(one / ONE, lambda content: content["annotations"][0]["bbox"].__setitem__(2, 3))
    seen.add(COCO.open(one).fingerprint)
    changed(one / ONE, lambda content: content["categories"][0].update(name="cube"))
    seen.add(COCO.open(one).fingerprint)
    Image.new("RGB", (64, 64)).save(one / "pictures" / "000001.jpg")
    seen.add(COCO.open(one).fingerprint)
    assert len(seen) == 4


RIGHT: dict[str, tuple[Callable[[Document], object], Callable[[Any], object]]] = {
    "crowd": (
        lambda content: content["annotations"][0].update(iscrowd=1),
        lambda objects: objects.crowd.tolist()[0] and not objects.difficult.any(),
    ),
    "without size": (
        lambda content: [content["images"][0].pop(side) for side in ("width", "height")],
        lambda objects: (objects.width, objects.height) == (64, 64),
    ),
    "size null": (
        lambda content: content["images"][0].update(width=None),
        lambda objects: (objects.width, objects.height) == (64, 64),
    ),
    "partly outside": (
        lambda content: content["annotations"][0].update(bbox=[-16, 32, 48, 100]),
        lambda objects: objects.boxes[0].tolist() == [0, 0.5, 0.5, 1] and objects.areas[0] == 32 * 32,
    ),
    "area": (
        lambda content: content["annotations"][0].update(area=12.5, segmentation=[[1, 2, 3, 4, 5, 6]]),
        lambda objects: objects.areas[0] == 12.5,
    ),
    "without objects": (
        lambda content: content.update(annotations=[row for row in content["annotations"] if row["image_id"] != 1]),
        lambda objects: objects.boxes.shape == (0, 4) and objects.classes.shape == (0,),
    ),
    "without ids": (
        lambda content: [row.pop("id") for row in content["annotations"]],
        lambda objects: len(objects.classes) > 0,
    ),
    "categories nobody uses": (
        lambda content: content["categories"].insert(0, {"id": 0, "name": "shapes", "supercategory": "none"}),
        lambda objects: objects.classes.max() < 3,
    ),
}


@pytest.mark.parametrize("case", RIGHT)
def test_what_is_right(one: Path, case: str) -> None:
    change, holds = RIGHT[case]
    changed(one / ONE, change)
    splits = COCO.open(one)
    assert holds(all_objects(splits)["1"]) and splits.class_names == SHAPES and splits.left_out == ()


def test_boxes_without_area_are_left_out_and_listed(one: Path, monkeypatch, capsys) -> None:
    before = len(all_objects(COCO.open(one))["1"].classes)
    changed(one / ONE, lambda content: content["annotations"][0].update(bbox=[3, 4, 5, 0]))
    splits = COCO.open(one)
    assert len(all_objects(splits)["1"].classes) == before - 1
    assert splits.left_out == (f"{one / ONE}, annotation 1: its box [3, 4, 5, 0] has no area",)
    done = run_here(monkeypatch, capsys, "datasets", "check", "coco", "--data-dir", one)
    assert done.code == 0 and f"note: 1 annotation left out:\n  {splits.left_out[0]}" in done.out


def test_ids_of_categories_may_differ_between_the_parts(tmp_path: Path) -> None:
    write_tiny_coco(tmp_path, {"train": 20, "val": 8})
    # Classes are numbered by the ids of the training images, whichever file comes first.
    assert COCO.open(tmp_path).class_names == SHAPES
    before = COCO.open(tmp_path).test.targets
    renumber = {3: 2, 7: 1, 11: 0}

    def other_ids(content: Document) -> None:
        for row in content["categories"]:
            row["id"] = renumber[row["id"]]
        for row in content["annotations"]:
            row["category_id"] = renumber[row["category_id"]]

    changed(tmp_path / VAL, other_ids)
    assert COCO.open(tmp_path).test.targets == before


def test_the_check_counts_objects(one: Path, monkeypatch, capsys) -> None:
    changed(
        one / ONE,
        lambda content: content.update(annotations=[row for row in content["annotations"] if row["image_id"] != 1]),
    )
    splits = COCO.open(one)
    done = run_here(monkeypatch, capsys, "datasets", "check", "coco", "--data-dir", one)
    rows = {line.split()[0]: line.split()[1:] for line in done.out.splitlines() if line.strip()}
    for split in ("train", "validation", "test"):
        targets = getattr(splits, split).targets
        empty = sum(not len(objects.classes) for objects in targets)
        assert rows[split] == [str(len(targets)), str(sum(len(objects.classes) for objects in targets)), str(empty)]
    per_class = [str(splits.test.targets.shown(3)[number]) for number in range(3)]
    assert [rows[name][2] for name in SHAPES] == per_class
    assert done.code == 0 and "Beside the images" not in done.out


def test_named_folders_may_lie_in_one_data_folder(tmp_path: Path) -> None:
    write_tiny_coco(tmp_path / "birds", {"all": 10}, "one file")
    birds = get_dataset("coco-birds")
    assert (birds.name, birds.title, birds.task, birds.metric) == (
        "coco-birds",
        "Your COCO folder, birds",
        "detection",
        "ap",
    )
    assert birds.open(tmp_path).fingerprint == birds.open(tmp_path / "birds").fingerprint
    assert birds.open(tmp_path).fingerprint != COCO.open(tmp_path / "birds").fingerprint
    write_tiny_coco(tmp_path / "robo", {"train": 10, "test": 4}, "roboflow")
    assert sizes(get_dataset("coco-test").open(tmp_path / "robo")) == (9, 1, 4)
    with pytest.raises(BadInputError, match="expected letters"):
        get_dataset("coco-a b")


def test_they_are_swept_in_the_space_of_all_of_them() -> None:
    space = load_search_space("coco-birds")
    assert (space.dataset, space.known_good) == ("coco", [])


def test_splits_can_be_pickled(one: Path) -> None:
    splits = COCO.open(one)
    again = pickle.loads(pickle.dumps(splits))
    assert again.fingerprint == splits.fingerprint and again.train.targets == splits.train.targets


def test_a_selection_is_that_of_its_objects(one: Path) -> None:
    targets = COCO.open(one).train.targets
    assert isinstance(targets, ObjectsOfImages)
    chosen = [4, 0, 3]
    assert targets.select(chosen) == ObjectsOfImages(targets[index] for index in chosen)
    assert len(targets.select([])) == 0


def test_an_object_of_all_is_found_in_its_image(one: Path) -> None:
    changed(
        one / ONE,
        lambda content: content.update(annotations=[row for row in content["annotations"] if row["image_id"] != 1]),
    )
    targets = COCO.open(one).train.targets
    assert isinstance(targets, ObjectsOfImages)
    every = [(image, place) for image, objects in enumerate(targets) for place in range(len(objects.classes))]
    assert [targets.image_of(place) for place in range(len(every))] == every
    for place, (image, own) in enumerate(every):
        assert targets.together().boxes[place].tolist() == targets[image].boxes[own].tolist()


@pytest.mark.parametrize("name", ["3\u202f15\u00a0pm.jpg", "鳥.jpg", "a'b\"c.jpg", "b" * 251 + ".jpg"])
def test_files_may_be_called_what_people_call_them(one: Path, name: str) -> None:
    (one / "pictures" / "000001.jpg").rename(one / "pictures" / name)
    changed(one / ONE, set_first("images", file_name=name))
    splits = COCO.open(one)
    every = [*names(splits.train), *names(splits.validation), *names(splits.test)]
    assert str(one / "pictures" / name) in every


def test_a_folder_beside_does_not_matter(one: Path) -> None:
    before = COCO.open(one).fingerprint
    shutil.copytree(one / "pictures", one / "thumbnails")
    assert COCO.open(one).fingerprint == before


@pytest.mark.parametrize("rows", ["images", "categories", "annotations"])
def test_whole_floats_are_ids(one: Path, rows: str) -> None:
    expected = all_objects(COCO.open(one))

    def floats(content: Document) -> None:
        for row in content[rows]:
            row.update({key: float(row[key]) for key in ("id", "image_id", "category_id") if key in row})

    changed(one / ONE, floats)
    found = all_objects(COCO.open(one))
    assert {int(float(key)): objects.classes.tolist() for key, objects in found.items()} == {
        int(key): objects.classes.tolist() for key, objects in expected.items()
    }
