"""Stanford Cars: the real layout is read, every kind of damage gets a message that says what to do."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat, savemat

from bissl_ray.data import SplitChoice, get_dataset
from bissl_ray.data.spec import Labelled
from bissl_ray.errors import BadInputError
from tests.data.tiny.cars import write_tiny_cars

CARS = get_dataset("cars")
TRAIN_ANNOTATIONS = "stanford_cars/devkit/cars_train_annos.mat"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_cars(tmp_path)


def refusal(folder: Path | None) -> str:
    with pytest.raises(BadInputError) as caught:
        CARS.open(folder)
    return str(caught.value)


def rewritten(folder: Path, path: str, field: str, row: int, value: object) -> str:
    annotations = loadmat(folder / path, squeeze_me=True)["annotations"]
    annotations[field][row] = value
    savemat(folder / path, {"annotations": annotations})
    return refusal(folder)


def test_reads_the_real_layout(folder: Path) -> None:
    splits = CARS.open(folder)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (19, 5, 12)
    assert splits.classes == 4
    assert set(splits.train.targets) == set(splits.validation.targets) == {0, 1, 2, 3}
    image, label = splits.train[0]
    assert image.mode == "RGB" and image.size == (48, 40)
    assert label == splits.train.targets[0]


def test_the_pretext_pool_is_the_training_images_without_labels(folder: Path) -> None:
    splits = CARS.open(folder)
    assert not isinstance(splits.pretext, Labelled)
    pool, train, validation = (set(splits.images(part).names) for part in ("pretext", "train", "validation"))
    assert pool == train and not pool & validation
    assert len(pool | validation) == 24
    assert all(name.startswith("cars_test/") for name in splits.test.images.names)


def test_the_published_size_gives_the_published_split() -> None:
    from bissl_ray.data.datasets.cars import _VALIDATION_SHARE
    from bissl_ray.data.splits import stratified_split

    labels = np.random.RandomState(0).randint(0, 196, 8144)
    kept, held_out = stratified_split(labels, round(8144 * _VALIDATION_SHARE), 0, "cars validation")
    assert (len(kept), len(held_out)) == (6598, 1546)


def test_no_folder_given() -> None:
    message = refusal(None)
    assert "needs a data folder" in message
    assert "--data-dir" in message and "stanford_cars/devkit/cars_meta.mat" in message and "Kaggle" in message


def test_an_empty_folder_names_everything_that_is_missing(tmp_path: Path) -> None:
    problem = refusal(tmp_path).splitlines()[0]
    assert str(tmp_path) in problem
    assert all(path in problem for path in CARS.required)


@pytest.mark.parametrize("path", ["stanford_cars/cars_test_annos_withlabels.mat", TRAIN_ANNOTATIONS])
def test_an_incomplete_folder_names_only_what_is_missing(folder: Path, path: str) -> None:
    (folder / path).unlink()
    problem = refusal(folder).splitlines()[0]
    assert problem.endswith(f"missing: {path}.")


def test_the_folder_one_too_deep_is_recognised(folder: Path) -> None:
    assert f"give --data-dir {folder}\n" in refusal(folder / "stanford_cars")


@pytest.mark.parametrize("content", [b"", b"not a MATLAB file at all, but long enough to have a header" * 9])
def test_damaged_annotations(folder: Path, content: bytes) -> None:
    (folder / TRAIN_ANNOTATIONS).write_bytes(content)
    assert refusal(folder).startswith(f"{folder / TRAIN_ANNOTATIONS}: can't be read")


def test_test_annotations_without_labels(folder: Path) -> None:
    labelled = folder / "stanford_cars" / "cars_test_annos_withlabels.mat"
    labelled.write_bytes((folder / "stanford_cars" / "devkit" / "cars_test_annos.mat").read_bytes())
    message = refusal(folder)
    assert str(labelled) in message and "'class'" in message


@pytest.mark.parametrize("wrong", [0, 5])
def test_a_label_outside_the_classes(folder: Path, wrong: int) -> None:
    message = rewritten(folder, TRAIN_ANNOTATIONS, "class", 7, np.uint8(wrong))
    assert "gives cars_train/00008.jpg a class outside 1..4" in message


def test_an_image_listed_twice(folder: Path) -> None:
    message = rewritten(folder, TRAIN_ANNOTATIONS, "fname", 7, "00002.jpg")
    assert "cars_train_annos.mat: lists cars_train/00002.jpg a second time, after cars_train_annos.mat" in message


def test_a_class_without_training_images(folder: Path) -> None:
    meta = folder / "stanford_cars" / "devkit" / "cars_meta.mat"
    names = [*loadmat(meta, squeeze_me=True)["class_names"].tolist(), "Maker 9 Van 2009"]
    savemat(meta, {"class_names": np.array(names, dtype=object)})
    assert "cars_train_annos.mat: no training image shows class Maker 9 Van 2009;" in refusal(folder)


def test_an_annotated_image_that_is_absent(folder: Path) -> None:
    image = folder / "stanford_cars" / "cars_train" / "00003.jpg"
    image.unlink()
    assert refusal(folder).startswith(f"{image}: named in cars_train_annos.mat but absent")


def test_a_truncated_image_is_named_when_it_is_decoded(folder: Path) -> None:
    image = folder / "stanford_cars" / "cars_test" / "00001.jpg"
    image.write_bytes(image.read_bytes()[:200])
    test = CARS.open(folder).test
    with pytest.raises(BadInputError, match=f"^{image}: this image can't be decoded"):
        test[0]


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_colour_models_become_rgb(folder: Path, mode: str) -> None:
    path = folder / "stanford_cars" / "cars_test" / "00001.jpg"
    with Image.open(path) as image:
        image.convert(mode).save(path)
    assert CARS.open(folder).test[0][0].mode == "RGB"


def test_the_fingerprint_follows_annotations_and_seed(folder: Path) -> None:
    first = CARS.open(folder).fingerprint
    assert CARS.open(folder).fingerprint == first
    assert CARS.open(folder, SplitChoice(1)).fingerprint != first
    annotations = loadmat(folder / TRAIN_ANNOTATIONS, squeeze_me=True)["annotations"]
    annotations["class"][[0, 1]] = annotations["class"][[1, 0]]
    savemat(folder / TRAIN_ANNOTATIONS, {"annotations": annotations})
    assert CARS.open(folder).fingerprint != first
