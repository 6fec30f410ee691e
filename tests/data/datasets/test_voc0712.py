"""VOC 2007 and 2012 for detection: boxes are where they were drawn, and all that is wrong is told at once."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from bissl_ray.data import SplitChoice, get_dataset
from bissl_ray.data.files.left_out import AnnotationsError
from bissl_ray.data.files.voc import CLASSES
from bissl_ray.data.objects import Objects
from bissl_ray.errors import BadInputError
from tests.cli.command import run_here
from tests.data.tiny.voc0712 import scenes, write

pytestmark = pytest.mark.slow

VOC = get_dataset("voc0712")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "data")


def annotations(folder: Path, year: str, name: str) -> Path:
    return folder / "VOCdevkit" / year / "Annotations" / f"{name}.xml"


def opened(folder: Path, seed: int = 0) -> dict[str, Objects]:
    """The objects of every image by its name."""
    splits = VOC.open(folder, SplitChoice(seed))
    return {each.image_id: each for part in (splits.train, splits.validation, splits.test) for each in part.targets}


def paths(part) -> list[str]:
    return [part.name(index) for index in range(len(part))]


def test_both_years_train_and_2007_tests(folder: Path) -> None:
    splits = VOC.open(folder)
    assert (len(splits.train), len(splits.validation), len(splits.test), splits.classes) == (14, 2, 8, 20)
    assert paths(splits.pretext) == paths(splits.train)
    assert all("VOC2007/JPEGImages/9" in path for path in paths(splits.test))
    assert {*paths(splits.train), *paths(splits.validation)} == {
        f"{folder}/VOCdevkit/{year}/JPEGImages/{name.format(number)}.jpg"
        for year, name in (("VOC2007", "{:06d}"), ("VOC2012", "2012_{:06d}"))
        for number in range(1, 9)
    }
    assert splits.class_names == CLASSES
    image, objects = splits.test[0]
    assert image.size == (64, 48) == (objects.width, objects.height)
    train, validation, test = VOC.sizes
    assert (train + validation, test) == (5011 + 11540, 4952) and validation == round(0.1 * (train + validation))


def test_boxes_are_where_they_were_drawn(folder: Path) -> None:
    found = opened(folder)
    drawn = list(scenes())
    assert len(found) == len(drawn) and any(not scene.shapes for scene in drawn)
    assert any(shape.difficult for scene in drawn for shape in scene.shapes)
    for scene in drawn:
        objects = found[f"{scene.year}/{scene.name}"]
        sides = np.array([objects.width, objects.height, objects.width, objects.height])
        boxes = np.array([shape.box for shape in scene.shapes], float).reshape(-1, 4)
        np.testing.assert_allclose(objects.boxes * sides, boxes, atol=1e-12)
        np.testing.assert_array_equal(objects.areas, (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
        assert [CLASSES[c] for c in objects.classes] == [shape.name for shape in scene.shapes]
        assert objects.difficult.tolist() == [shape.difficult for shape in scene.shapes]
        assert not objects.crowd.any()


SIZE = "<size><width>64</width><height>48</height></size>"


def described(box: tuple[object, ...] | None, name: str = "cat", size: str = SIZE) -> str:
    inside = "".join(
        f"<{tag}>{place}</{tag}>" for tag, place in zip(("xmin", "ymin", "xmax", "ymax"), box or (), strict=False)
    )
    bndbox = "" if box is None else f"<bndbox>{inside}</bndbox>"
    return f"<annotation>{size}<object><name>{name}</name>{bndbox}</object></annotation>"


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((1, 1, 64, 48), (0, 0, 1, 1)),
        ((0, -3, 64.5, 100), (0, 0, 1, 1)),
        ((33.5, 13, 48, 24.25), (32.5 / 64, 12 / 48, 48 / 64, 24.25 / 48)),
    ],
)
def test_boxes_are_clipped_to_the_frame(folder: Path, box: tuple[float, ...], expected: tuple[float, ...]) -> None:
    annotations(folder, "VOC2012", "2012_000003").write_text(described(box))
    np.testing.assert_allclose(opened(folder)["VOC2012/2012_000003"].boxes, [expected], atol=1e-15)


PART = "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></part>"
FAULTS = [
    ("", "can't be read as XML (no element found"),
    ("<annotation><object>", "can't be read as XML"),
    ("<!DOCTYPE a><annotation/>", "begins a document type"),
    (described((1, 1, 9, 9), name="unicorn"), "annotates an object as 'unicorn', expected one of VOC's 20 classes"),
    (described(None), "object 1 (cat) has no bndbox, expected one with xmin, ymin, xmax and ymax"),
    (described(None).replace("</object>", f"{PART}</object>"), "object 1 (cat) has no bndbox"),
    (described((1, 1, 9)), "object 1 (cat) has ymax '' in its bndbox, expected a number"),
    (described((1, "left", 9, 9)), "object 1 (cat) has ymin 'left' in its bndbox, expected a number"),
    (described((1, 1, "nan", 9)), "object 1 (cat) has xmax 'nan' in its bndbox, expected a number"),
    (described((30, 1, 20, 9)), "object 1 (cat) has xmin 30 and xmax 20, expected the smaller one first"),
    (described((1, 9, 20, 8)), "object 1 (cat) has ymin 9 and ymax 8, expected the smaller one first"),
    (described((65, 1, 70, 9)), "object 1 (cat) has its box at 65, 1, 70, 9, wholly outside of the frame of 64 x 48"),
    (described((3, -8, 9, 0)), "object 1 (cat) has its box at 3, -8, 9, 0, wholly outside of the frame"),
    (described((1, 1, 9, 9), size=""), "has no size, or one of 0; expected width and height"),
    (described((1, 1, 9, 9), size=SIZE.replace("48", "0")), "has no size, or one of 0"),
    (described((1, 1, 9, 9), size=SIZE.replace("64", "wide")), "has no size, or one of 0"),
    (described((1, 1, 9, 9), size=SIZE.replace("64", "1e300")), "has no size, or one of 0"),
]


@pytest.mark.parametrize(("content", "told"), FAULTS)
def test_each_fault_is_told_with_its_file(folder: Path, content: str, told: str) -> None:
    path = annotations(folder, "VOC2012", "2012_000003")
    path.write_text(content)
    with pytest.raises(AnnotationsError) as caught:
        VOC.open(folder)
    (line,) = caught.value.lines
    assert line.startswith(f"{path}: {told}") and "\n" not in line
    assert str(caught.value) == f"{line}; {caught.value.remedy}"


def test_a_file_that_cannot_be_read_is_one_of_them(folder: Path) -> None:
    path = annotations(folder, "VOC2012", "2012_000003")
    path.unlink()
    path.mkdir()
    with pytest.raises(AnnotationsError) as caught:
        VOC.open(folder)
    assert caught.value.lines == [f"{path}: can't be read (Is a directory)"]


def test_a_box_of_one_pixel_has_both_of_its_ends(folder: Path) -> None:
    annotations(folder, "VOC2007", "900002").write_text(described((9, 3, 9, 3)))
    (objects,) = (each for each in VOC.open(folder).test.targets if "900002" in each.image_id)
    assert objects.areas.tolist() == [1.0]


def break_all(folder: Path) -> list[str]:
    """Break a file for every fault, and return the beginning of each line that is to tell of them."""
    names = sorted((scene.year, scene.name) for scene in scenes())
    told = []
    for (year, name), (content, words) in zip(names, FAULTS, strict=False):
        path = annotations(folder, year, name)
        path.write_text(content)
        told.append(f"{path}: {words}")
    return told


def test_all_faults_are_told_together(folder: Path) -> None:
    told = break_all(folder)
    with pytest.raises(BadInputError) as caught:
        VOC.open(folder)
    message = str(caught.value)
    assert message.startswith(told[0]) and "\n" not in message
    assert f", and {len(told) - 1} more in the annotations; " in message
    assert f"bissl-ray datasets check voc0712 --data-dir {folder} lists all" in message
    again = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(again, AnnotationsError)
    assert (str(again), again.lines, again.remedy) == (message, caught.value.lines, caught.value.remedy)


def test_a_check_lists_all_faults(folder: Path, monkeypatch, capsys) -> None:
    told = break_all(folder)
    done = run_here(monkeypatch, capsys, "datasets", "check", "voc0712", "--data-dir", folder)
    assert done.code == 2
    assert f"problem: {len(told)} faults in the annotations; correct them or put intact files there:" in done.out
    assert all(f"\n  {beginning}" in done.out for beginning in told)
    assert "No image was opened. 1 problem." in done.out


@pytest.mark.parametrize("file", ["VOC2007/JPEGImages/900002.jpg", "VOC2012/Annotations/2012_000005.xml"])
def test_an_absent_file_is_named(folder: Path, file: str) -> None:
    (folder / "VOCdevkit" / file).unlink()
    with pytest.raises(BadInputError, match=rf"{file}: named in \w+.txt but absent; VOC comes as three archives"):
        VOC.open(folder)


def test_a_tenth_is_drawn_of_every_class(tmp_path: Path) -> None:
    folder = write(tmp_path, 100, 100, 5, side=16)
    splits = VOC.open(folder)
    assert (len(splits.train), len(splits.validation)) == (180, 20)
    for name in ("tvmonitor", "bottle", "sheep"):
        held, kept = (
            sum(CLASSES.index(name) in objects.classes for objects in part.targets)
            for part in (splits.validation, splits.train)
        )
        assert held == pytest.approx((held + kept) / 10, abs=1)
    drawn = {seed: paths(VOC.open(folder, SplitChoice(seed)).validation) for seed in (0, 1)}
    assert drawn[0] == paths(splits.validation) != drawn[1]
    assert not {*paths(splits.validation)} & {*paths(splits.train)}


@pytest.mark.parametrize(("year", "name"), [("VOC2007", "000004"), ("VOC2012", "2012_000003"), ("VOC2007", "900002")])
def test_the_fingerprint_follows_annotations(folder: Path, year: str, name: str) -> None:
    path = annotations(folder, year, name)
    path.write_text(described((1, 1, 20, 30), name="sheep"))
    first = VOC.open(folder).fingerprint
    assert VOC.open(folder).fingerprint == first
    path.write_text(described((1, 1, 20, 31), name="sheep"))
    assert VOC.open(folder).fingerprint != first


def test_index_files_count_2007_before_2012(folder: Path, tmp_path: Path) -> None:
    for part, indices in (("train", range(15)), ("val", [15])):
        (tmp_path / f"voc0712_{part}_split.txt").write_text("".join(f"{index}\n" for index in indices))
    # The last has no object, and validation needs one.
    annotations(folder, "VOC2012", "2012_000008").write_text(described((1, 1, 20, 30)))
    splits = VOC.open(folder, SplitChoice(0, tmp_path))
    assert paths(splits.validation) == [f"{folder}/VOCdevkit/VOC2012/JPEGImages/2012_000008.jpg"]
    assert paths(splits.train)[0].endswith("VOC2007/JPEGImages/000001.jpg")
    assert splits.validation_from == f"from {tmp_path}/voc0712_val_split.txt"
