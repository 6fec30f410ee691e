"""The readers of published photographs: real layouts are read as published, in the order of torchvision's readers."""

import colorsys
import importlib
import re
from pathlib import Path

import numpy as np
import pytest
from torchvision import datasets

from bissl_ray.data import SplitChoice, get_dataset
from bissl_ray.data.spec import Labelled
from bissl_ray.errors import BadInputError
from tests.data.tiny import write_tiny

SIZES = {
    "aircrafts": (24, 9, 9),
    "caltech101": (48, 12, 5),
    "cars": (19, 5, 12),
    "cub200": (19, 5, 9),
    "dtd": (24, 9, 9),
    "flowers": (24, 9, 9),
    "food": (19, 5, 9),
    "pets": (19, 5, 9),
    "sun397": (19, 5, 9),
}
"""Images for training, validation and test in the tiny copies."""
PUBLISHED_VALIDATION = {"aircrafts", "dtd", "flowers"}
CLASSES = {name: {"caltech101": 2, "cars": 4}.get(name, 3) for name in SIZES}


@pytest.fixture(scope="module", params=SIZES)
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    return request.param, write_tiny(request.param, tmp_path_factory.mktemp(request.param))


def class_shown(image, colours):
    """The class whose colour the most saturated column of an image is nearest to."""
    pixels = np.asarray(image, dtype=float)
    middle = pixels[pixels.shape[0] // 2 - 5 : pixels.shape[0] // 2 + 5].mean(axis=0)
    bar = middle[np.argmax(middle.max(axis=1) - middle.min(axis=1))]
    known = [np.array(colorsys.hsv_to_rgb(label / colours, 0.9, 0.9)) * 255 for label in range(colours)]
    return int(np.argmin([np.linalg.norm(bar - colour) for colour in known]))


def write_split(folder, name, train, validation):
    for part, indices in (("train", train), ("val", validation)):
        (folder / f"{name}_{part}_split.txt").write_text("".join(f"{index}\n" for index in sorted(indices)))


def paths(source):
    return [source.name(index) for index in range(len(source))]


def test_every_image_comes_with_its_own_class(tiny):
    name, folder = tiny
    splits = get_dataset(name).open(folder)
    assert splits.classes == CLASSES[name]
    assert (splits.class_names is None) == (name == "flowers")
    assert splits.class_names is None or len(set(splits.class_names)) == splits.classes
    colours = 3 if name == "caltech101" else splits.classes
    for source, size in zip((splits.train, splits.validation, splits.test), SIZES[name], strict=True):
        assert len(source) == size
        assert set(source.targets) == set(range(splits.classes))
        for index in range(size):
            image, label = source[index]
            assert image.mode == "RGB" and image.size == (48, 40)
            assert label == source.targets[index] == class_shown(image, colours)


def test_no_image_is_in_two_splits_and_the_pool_is_what_is_trained_on(tiny):
    name, folder = tiny
    splits = get_dataset(name).open(folder)
    train, validation, test = map(paths, (splits.train, splits.validation, splits.test))
    assert len({*train, *validation, *test}) == sum(SIZES[name])
    assert paths(splits.pretext) == train
    assert not isinstance(splits.pretext, Labelled)


def test_only_drawn_validation_depends_on_the_seed(tiny):
    name, folder = tiny
    first, second = (get_dataset(name).open(folder, SplitChoice(seed)) for seed in (0, 1))
    assert paths(first.test) == paths(second.test)
    assert (paths(first.validation) == paths(second.validation)) == (name in PUBLISHED_VALIDATION)
    assert (first.fingerprint == second.fingerprint) == (name in PUBLISHED_VALIDATION)
    assert get_dataset(name).open(folder).fingerprint == first.fingerprint


def test_index_files_count_what_is_known_before_test(tiny, tmp_path):
    name, folder = tiny
    drawn = get_dataset(name).open(folder)
    count = len(drawn.train) + len(drawn.validation)
    # Those of Caltech 101 count all images, and leave those of the test out.
    known = [index for index in range(sum(SIZES[name])) if index % 7] if name == "caltech101" else range(count)
    validation = known[1::5]
    write_split(tmp_path, name, set(known) - set(validation), validation)
    read = get_dataset(name).open(folder, SplitChoice(0, tmp_path))
    assert (len(read.train), len(read.validation)) == (len(known) - len(validation), len(validation))
    assert read.validation_from == f"from {tmp_path}/{name}_val_split.txt"
    assert len({*paths(read.train), *paths(read.validation), *paths(read.test)}) == sum(SIZES[name])
    assert read.fingerprint != drawn.fingerprint
    assert read.fingerprint == get_dataset(name).open(folder, SplitChoice(5, tmp_path)).fingerprint
    if name != "caltech101":
        assert {*paths(read.train), *paths(read.validation)} == {*paths(drawn.train), *paths(drawn.validation)}
        assert paths(read.test) == paths(drawn.test)


@pytest.mark.parametrize("name", SIZES)
def test_published_sizes_follow_from_the_share_drawn(name):
    train, validation, _ = get_dataset(name).sizes
    module = importlib.import_module(f"bissl_ray.data.datasets.{name}")
    if name in PUBLISHED_VALIDATION:
        assert not hasattr(module, "_VALIDATION_SHARE")
    else:
        assert round((train + validation) * module._VALIDATION_SHARE) == validation


def torchvision_samples(name, folder, monkeypatch):
    """What torchvision's reader makes of the images known before test: paths and labels, in its order."""
    if name == "food":
        reader = datasets.Food101(folder, "train")
        return reader._image_files, reader._labels
    if name == "pets":
        reader = datasets.OxfordIIITPet(folder, "trainval")
        return reader._images, reader._labels
    if name == "cars":
        reader = datasets.StanfordCars(folder, "train")
        return zip(*reader._samples, strict=True)
    if name == "caltech101":
        reader = datasets.Caltech101(folder)
        images = zip(reader.y, reader.index, strict=True)
        root = folder / "caltech101" / "101_ObjectCategories"
        return [root / reader.categories[y] / f"image_{index:04d}.jpg" for y, index in images], reader.y
    monkeypatch.setattr(datasets.Flowers102, "_check_integrity", lambda self: True)
    reader = {"dtd": datasets.DTD, "flowers": datasets.Flowers102, "aircrafts": datasets.FGVCAircraft}[name]
    parts = [reader(folder, part) for part in ("train", "val")]
    return [path for part in parts for path in part._image_files], [label for part in parts for label in part._labels]


@pytest.mark.parametrize("tiny", sorted({*SIZES} - {"cub200", "sun397"}), indirect=True)
def test_index_files_count_in_the_order_of_torchvision(tiny, tmp_path, monkeypatch):
    name, folder = tiny
    images, labels = torchvision_samples(name, folder, monkeypatch)
    expected = dict(enumerate(zip(map(str, images), map(int, labels), strict=True)))
    # Every class of Caltech 101 must be left for the test.
    train = [index for index in range(1, len(expected) - 2) if name != "caltech101" or index != 5]
    write_split(tmp_path, name, train, [0])
    splits = get_dataset(name).open(folder, SplitChoice(0, tmp_path))
    read = [*zip(paths(splits.validation), splits.validation.targets, strict=True)]
    read += zip(paths(splits.train), splits.train.targets, strict=True)
    assert read == [expected[index] for index in (0, *train)]


def test_scenes_are_numbered_as_torchvision_does(tmp_path):
    folder = write_tiny("sun397", tmp_path)
    reader = datasets.SUN397(folder)
    expected = dict(zip(map(str, reader._image_files), reader._labels, strict=True))
    splits = get_dataset("sun397").open(folder)
    for source in (splits.train, splits.validation, splits.test):
        assert [expected[path] for path in paths(source)] == source.targets


def test_the_partitions_of_sun397_may_lie_beside_its_images(tmp_path):
    folder = write_tiny("sun397", tmp_path)
    inside = get_dataset("sun397").open(folder).fingerprint
    (folder / "SUN397" / "Partitions").rename(folder / "Partitions")
    (folder / "SUN397" / "ClassName.txt").rename(folder / "Partitions" / "ClassName.txt")
    assert get_dataset("sun397").open(folder).fingerprint == inside


def test_a_small_class_of_caltech101_keeps_an_image_for_test(tmp_path):
    folder = write_tiny("caltech101", tmp_path)
    for number in range(4, 33):
        (folder / "caltech101" / "101_ObjectCategories" / "Faces" / f"image_{number:04d}.jpg").unlink()
    splits = get_dataset("caltech101").open(folder)
    assert splits.test.targets.count(0) == 1
    assert [*splits.train.targets, *splits.validation.targets].count(0) == 2


def test_a_published_test_set_of_caltech101_is_what_the_index_files_leave(tmp_path):
    folder = write_tiny("caltech101", tmp_path)
    (tmp_path / "caltech101_train_split.txt").write_text("64\n0\n32\n")
    (tmp_path / "caltech101_val_split.txt").write_text("1\n33\n")
    splits = get_dataset("caltech101").open(folder, SplitChoice(0, tmp_path))
    assert (splits.train.targets, splits.validation.targets, len(splits.test)) == ([0, 1, 1], [0, 1], 60)


@pytest.mark.parametrize(
    ("train", "validation", "told"),
    [
        # As files would that count the 60 images known before test.
        (range(48), range(48, 60), r"_val_split.txt: leave no image of class Faces for test; .* count all 65 images"),
        ((0, 2), (1, 33), r"caltech101_train_split.txt: no training image shows class accordion"),
    ],
)
def test_index_files_of_caltech101_must_leave_every_class_for_each_split(tmp_path, train, validation, told):
    folder = write_tiny("caltech101", tmp_path)
    write_split(tmp_path, "caltech101", train, validation)
    with pytest.raises(BadInputError, match=told):
        get_dataset("caltech101").open(folder, SplitChoice(0, tmp_path))


@pytest.mark.parametrize("name", SIZES)
def test_what_is_missing_is_named(name, tmp_path):
    folder = write_tiny(name, tmp_path)
    for path in get_dataset(name).required:
        path = path if isinstance(path, str) else path[0]
        (folder / path).rename(folder / "elsewhere")
        with pytest.raises(BadInputError) as caught:
            get_dataset(name).open(folder)
        assert re.search(rf"missing: {path}[.,]", str(caught.value).splitlines()[0])
        (folder / "elsewhere").rename(folder / path)
    with pytest.raises(BadInputError, match="needs a data folder; none was given"):
        get_dataset(name).open(None)
