"""All that is wrong with a folder in COCO's form is said at once, with file and id."""

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from bissl_ray.data import DataChoice, open_data
from bissl_ray.data.files.left_out import AnnotationsError, LeftOutError
from bissl_ray.errors import BadInputError
from tests.cli.command import run_here
from tests.data.datasets.coco_given import COCO, ONE, TRAIN, VAL, Document, changed, drop, set_first, set_first_file
from tests.data.tiny.coco import write_json, write_tiny_coco

pytestmark = pytest.mark.slow


WRONG: list[tuple[str, Callable[[Document], object], str]] = [
    ("width below 0", set_first("annotations", bbox=[1, 2, -3, 4]), "annotation 1: its bbox [1, 2, -3, 4] has a width"),
    ("nan", set_first("annotations", bbox=[1, 2, float("nan"), 4]), "annotation 1: its bbox [1, 2, nan, 4] has a numb"),
    ("infinite", set_first("annotations", bbox=[float("inf"), 2, 3, 4]), "has a number that isn't finite"),
    (
        "outside",
        set_first("annotations", bbox=[64, 2, 3, 4]),
        "annotation 1: its box [64, 2, 3, 4] lies outside image 1 (000001.jpg, 64 x 64)",
    ),
    ("left of it", set_first("annotations", bbox=[-9, 2, 3, 4]), "its box [-9, 2, 3, 4] lies outside image 1"),
    ("no bbox", drop("annotations", "bbox"), "annotation 1: has no bbox"),
    ("three numbers", set_first("annotations", bbox=[1, 2, 3]), "annotation 1: found [1, 2, 3] for its bbox, expected"),
    ("text", set_first("annotations", bbox=["1", 2, 3, 4]), "annotation 1: found ['1', 2, 3, 4] for its bbox"),
    ("huge", set_first("annotations", bbox=[10**400, 2, 3, "4"]), "for its bbox, expected four numbers"),
    ("category unknown", set_first("annotations", category_id=4), "annotation 1: its category_id 4 is that of no cat"),
    ("no category_id", drop("annotations", "category_id"), "annotation 1: its category_id None is that of no"),
    ("image unknown", set_first("annotations", image_id=99), "annotation 1: its image_id 99 is that of no image"),
    ("image a truth value", set_first("annotations", image_id=True), "annotation 1: its image_id True is that of no"),
    ("image a list", set_first("annotations", image_id=[1]), "annotation 1: its image_id [1] is that of no image"),
    ("annotation twice", set_first("annotations", id=2), "annotation 2: 2 annotations have this id"),
    ("image id twice", set_first("images", id=2), "image 2: two images have this id; '000002.jpg' is the second"),
    (
        "file twice",
        set_first("images", file_name="000002.jpg"),
        "image 2: has the file pictures/000002.jpg, as image 1",
    ),
    ("no file_name", drop("images", "file_name"), "image 1: has no file_name"),
    ("category twice", set_first("categories", id=7), "category 7: two categories have this id: 'square' and 'disc'"),
    ("name twice", set_first("categories", name="disc"), "category 7: is called 'disc' as category 3 is"),
    ("name cut off", set_first("images", file_name="a\ud800.jpg"), "image 1: its file_name 'a\\ud800.jpg' can't be"),
    ("name of two lines", set_first("images", file_name="a\nb.jpg"), "image 1: its file_name 'a\\nb.jpg' can't be"),
    ("name too long", set_first("images", file_name=f"a/{'b' * 256}"), "image 1: its file_name 'a/bbb"),
    ("id of two lines", set_first("images", id="a\nb"), "image number 1: found the id 'a\\nb', expected a number"),
    ("class cut off", set_first("categories", name="\ud800"), "category 3: found the name '\\ud800', expected text of"),
    (
        "class of two lines",
        set_first("categories", name="a\nb"),
        "category 3: found the name 'a\\nb', expected text of",
    ),
    ("annotation of two lines", set_first("annotations", id="a\nb", bbox=None), "annotation number 1: has no bbox"),
    (
        "larger than numbers",
        set_first("annotations", bbox=[1e308] * 4),
        "its box [1e+308, 1e+308, 1e+308, 1e+308] lies",
    ),
    ("no category", lambda content: content.update(categories=[]), ": lists no category, expected one or more"),
    ("no image", lambda content: content.update(images=[]), ": lists no image, expected one or more"),
    ("no annotation", lambda content: content.update(annotations=[]), ": lists no annotation, expected one or more"),
    ("not COCO", lambda content: content.pop("images"), ": found the keys annotations, categories, expected COCO's"),
    ("no object", lambda content: content["images"].append(5), "entry 11 of 'images': found 5, expected an object"),
]


@pytest.mark.parametrize(("change", "line"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_what_is_wrong_is_named(one: Path, change: Callable[[Document], object], line: str) -> None:
    changed(one / ONE, change)
    with pytest.raises(AnnotationsError) as caught:
        COCO.open(one)
    error = caught.value
    assert error.lines[0].startswith(f"{one / ONE}") and line in error.lines[0]
    assert len(str(error).splitlines()) == 1 and f"datasets check coco --data-dir {one} lists all" in str(error)
    assert pickle.loads(pickle.dumps(error)).lines == error.lines


@pytest.mark.parametrize(("text", "found"), [("{", "found no JSON"), ("[]", "JSON that is a list"), ("3", "a single")])
def test_other_files_than_annotations(one: Path, text: str, found: str) -> None:
    (one / ONE).write_text(text)
    with pytest.raises(AnnotationsError, match=found):
        COCO.open(one)


def test_parts_must_fit_together(tmp_path: Path) -> None:
    write_tiny_coco(tmp_path, {"train": 10, "val": 4}, "images")
    train, val = (tmp_path / "annotations" / f"{part}.json" for part in ("train", "val"))
    changed(val, lambda content: (content["categories"][0].update(name="cube"), set_first_file(content)))
    with pytest.raises(AnnotationsError) as caught:
        COCO.open(tmp_path)
    said = "\n".join(caught.value.lines)
    assert f"{train}: has no category 'cube', which {val} has" in said
    assert f"{val}, image 11: has the file images/000001.jpg, as image 1 of train.json has" in said


def test_absent_images_are_counted_as_elsewhere(one: Path) -> None:
    for number in (1, 5):
        (one / "pictures" / f"{number:06d}.jpg").unlink()
    with pytest.raises(LeftOutError) as caught:
        COCO.open(one)
    assert caught.value.lines[0] == f"{one}/pictures/000001.jpg: named in annotations.json but absent"
    assert len(caught.value.lines) == 2 and len(caught.value.remaining) == 8
    (one / "pictures" / "000001.jpg").write_bytes(b"")
    (one / "pictures" / "000005.jpg").write_bytes(b"")
    with pytest.raises(LeftOutError, match=r"000001\.jpg: is empty \(0 bytes\), and so are 1 more"):
        COCO.open(one)


def files(folder: Path, *given: str) -> None:
    for name in given:
        write_json(folder / name, {})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((), "found no file of annotations, expected annotations/*.json"),
        (("inner/annotations/train.json",), "further in: give --data-dir {folder}/inner"),
        ((TRAIN, "annotations/train2014.json"), "both say that they are the train part"),
        ((TRAIN, "annotations/more.json"), "{folder}/annotations/more.json: found beside 1 other, and its name says"),
        ((VAL, "annotations/test.json"), "without annotations of training images"),
    ],
    ids=["none", "further in", "twice", "no part", "no train"],
)
def test_parts_that_are_not_there(tmp_path: Path, given: tuple[str, ...], said: str) -> None:
    files(tmp_path, *given)
    with pytest.raises(BadInputError) as caught:
        COCO.open(tmp_path)
    assert said.format(folder=tmp_path) in str(caught.value) and "\n" not in str(caught.value)


def test_all_that_is_wrong_is_one_list(one: Path, monkeypatch, capsys) -> None:
    def spoil(content: Document) -> None:
        for row in content["annotations"][:3]:
            row["bbox"] = [1, 2, -3, 4]
        content["annotations"][3]["category_id"] = 4
        content["annotations"][4]["bbox"] = [100, 100, 5, 5]

    changed(one / ONE, spoil)
    (one / "pictures" / "000010.jpg").unlink()
    done = run_here(monkeypatch, capsys, "datasets", "check", "coco-x", "--data-dir", one)
    listed = [line for line in done.out.splitlines() if line.startswith("  ")]
    assert done.code == 2 and "problem: 6 faults in" in done.out and len(listed) == 6
    assert "No image was opened. 1 problem." in done.out


def test_files_of_another_size_than_annotated(one: Path, monkeypatch, capsys) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 48)).save(one / "pictures" / "000001.jpg", exif=exif)
    changed(one / ONE, set_first("images", height=48))
    done = run_here(monkeypatch, capsys, "datasets", "check", "coco", "--data-dir", one)
    assert done.code == 2 and "give --set exif_orientation=false if the boxes belong" in done.out
    assert f"  {one}/pictures/000001.jpg: annotated as 64 x 48, the file shows 48 x 64" in done.out


def only_crowds(content: Document) -> None:
    for row in content["annotations"]:
        row["iscrowd"] = 1


def only_flat_boxes(content: Document) -> None:
    for row in content["annotations"]:
        row["bbox"][2] = 0


@pytest.mark.parametrize("spoil", [only_crowds, only_flat_boxes])
@pytest.mark.parametrize(("part", "split"), [("train", "train"), ("val", "validation"), ("test", "test")])
def test_each_split_needs_an_object_that_is_scored(
    tmp_path: Path, part: str, split: str, spoil: Callable[[Document], object]
) -> None:
    write_tiny_coco(tmp_path, {"train": 10, "val": 4, "test": 4}, "images")
    changed(tmp_path / "annotations" / f"{part}.json", spoil)
    for name in ("coco", "coco-birds"):
        with pytest.raises(BadInputError, match=rf"\('{name}'\): none of its \d+ {split} images shows an object"):
            open_data(DataChoice(name, data_dir=str(tmp_path)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content: content["categories"][0].update(name="a\nb"), r"category 3: found the name 'a\\nb', expected"),
        (lambda content: content["images"][0].update(id=True), "image number 1: found the id True, expected"),
        (lambda content: content["images"][0].update(id=0.5), "image number 1: found the id 0.5, expected"),
    ],
    ids=["name of two lines", "a truth value", "half an id"],
)
def test_odd_ids_and_names_are_refused(one: Path, change: Callable[[Document], object], said: str) -> None:
    changed(one / ONE, change)
    with pytest.raises(AnnotationsError, match=said):
        COCO.open(one)
