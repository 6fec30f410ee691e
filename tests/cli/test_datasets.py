"""`bissl-ray datasets`: the list, and what a check finds of each kind of damage."""

import re
import shutil
from dataclasses import replace
from hashlib import md5
from pathlib import Path

import pytest
from PIL import Image

from bissl_ray.data import dataset_names, get_dataset
from bissl_ray.data.datasets import registry
from tests.cli.command import Done, run, run_here
from tests.data.tiny import WRITERS, write_tiny
from tests.data.tiny.folders import write_split_folder


@pytest.fixture
def here(monkeypatch, capsys):
    return lambda *arguments: run_here(monkeypatch, capsys, "datasets", *arguments)


def test_the_list_names_every_dataset(here) -> None:
    done = here()
    assert done.code == 0
    # A title may go on in the next line, below itself.
    assert [line.split()[0] for line in done.out.splitlines() if line[:1].strip()][2:-2] == dataset_names()
    assert "11-pt mAP" in done.out


def test_the_list_says_what_a_folder_holds(here, tmp_path: Path) -> None:
    write_tiny("cars", tmp_path)
    write_tiny("cifar10", tmp_path)
    (tmp_path / "cifar-10-batches-py" / "data_batch_3").unlink()
    rows = [line.split() for line in here("--data-dir", tmp_path).out.splitlines() if line.strip()]
    held = {row[0]: row[1] for row in rows if row[0] in dataset_names()}
    assert held["cars"] == "there" and held["digits"] == "embedded"
    assert held["cifar10"] == "missing:" and held["voc07"] == "-"
    done = here("--data-dir", tmp_path / "nowhere")
    assert done.code == 2 and "found no folder there" in done.err


def test_a_home_folder_can_be_written_short(here, tmp_path: Path, monkeypatch) -> None:
    write_tiny("cars", tmp_path / "data")
    write_tiny("cifar10", tmp_path / "data")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert re.search(r"^ *cars +there", here("--data-dir=~/data").out, re.MULTILINE)
    assert here("check", "cars", "--data-dir=~/data", "--quick").code == 0
    assert f"is in {tmp_path}/data already" in here("check", "cifar10", "--data-dir=~/data", "--download").err


def test_images_without_their_lists_are_not_all_of_sun397(here, tmp_path: Path) -> None:
    write_tiny("sun397", tmp_path)
    row = r"^ *sun397 +there"
    assert re.search(row, here("--data-dir", tmp_path).out, re.MULTILINE)
    (tmp_path / "SUN397" / "Partitions").rename(tmp_path / "Partitions")
    assert re.search(row, here("--data-dir", tmp_path).out, re.MULTILINE)
    (tmp_path / "Partitions" / "Testing_01.txt").unlink()
    assert not re.search(row, here("--data-dir", tmp_path).out, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITERS)
def test_an_intact_copy_is_found_so(here, tmp_path: Path, name: str) -> None:
    done = here("check", name, "--data-dir", write_tiny(name, tmp_path))
    assert done.code == 0, done
    assert "images open. Nothing is wrong." in done.out and "problem:" not in done.out
    assert ("note: It is smaller than the published one" in done.out) == (name not in ("folder", "coco"))


@pytest.mark.parametrize(("name", "images"), [("digits", "1,797"), ("digits_scenes", "1,050")])
def test_digits_need_no_folder(here, name: str, images: str) -> None:
    done = here("check", name)
    assert done.code == 0 and f"{images} of {images} images open. Nothing is wrong." in done.out


def damaged_cars(root: Path) -> Path:
    write_tiny("cars", root)
    images = root / "stanford_cars" / "cars_train"
    for number in (2, 5):
        path = images / f"{number:05d}.jpg"
        path.write_bytes(path.read_bytes()[:300])
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(images / "00001.jpg") as image:
        image.save(images / "00001.jpg", exif=exif)
    shutil.copy(images / "00001.jpg", root / "stanford_cars" / "cars_test" / "00001.jpg")
    (images / "notes.txt").write_bytes(b"")
    return root


def test_everything_wrong_is_listed(here, tmp_path: Path) -> None:
    done = here("check", "cars", "--data-dir", damaged_cars(tmp_path))
    assert done.code == 2
    assert "problem: 2 images can't be opened:" in done.out and "1 problem." in done.out
    images = tmp_path / "stanford_cars" / "cars_train"
    for number in (2, 5):
        assert f"  {images}/{number:05d}.jpg: this image can't be decoded" in done.out
    assert "note: 2 images turned as EXIF says" in done.out
    assert f"note: Beside the images 1 file of no split:\n  {images}/notes.txt" in done.out
    assert "note: 1 image in several of the training, validation and test splits:" in done.out
    assert f"test: {tmp_path}/stanford_cars/cars_test/00001.jpg" in done.out
    quick = here("check", "cars", "--data-dir", tmp_path, "--quick")
    assert quick.code == 0 and "36 images, none opened (--quick). Nothing is wrong." in quick.out


def test_absent_images_are_listed_and_the_others_opened(here, tmp_path: Path) -> None:
    write_tiny("cars", tmp_path)
    images = tmp_path / "stanford_cars" / "cars_train"
    for number in (4, 7, 8):
        (images / f"{number:05d}.jpg").unlink()
    (images / "00002.jpg").write_bytes(b"")
    done = here("check", "cars", "--data-dir", tmp_path)
    assert done.code == 2 and "problem: 3 files named in the lists but absent; put the complete images" in done.out
    for number in (4, 7, 8):
        assert f"  {images}/{number:05d}.jpg: named in cars_train_annos.mat but absent" in done.out
    assert f"problem: 1 image can't be opened:\n  {images}/00002.jpg: this image can't be decoded" in done.out
    assert "32 of 33 images open. 2 problems." in done.out
    quick = here("check", "cars", "--data-dir", tmp_path, "--quick")
    assert quick.code == 2 and "33 images, none opened (--quick). 1 problem." in quick.out


def test_absent_files_of_every_list_are_counted(here, tmp_path: Path) -> None:
    root = write_tiny("voc07", tmp_path) / "VOCdevkit" / "VOC2007"
    total = len(list((root / "JPEGImages").iterdir()))
    for part in ("train", "test"):
        first = (root / "ImageSets" / "Main" / f"{part}.txt").read_text().split()[0]
        (root / "JPEGImages" / f"{first}.jpg").unlink()
    (root / "Annotations" / f"{first}.xml").unlink()
    done = here("check", "voc07", "--data-dir", tmp_path)
    assert done.code == 2 and "problem: 3 files named in the lists but absent; VOC 2007 comes as two" in done.out
    assert f"{total - 2} of {total - 2} images open. 1 problem." in done.out


def test_a_long_list_is_cut_and_counted(here, tmp_path: Path) -> None:
    write_tiny("folder", tmp_path)
    for path in (
        sorted((tmp_path / "kind0").iterdir())
        + sorted((tmp_path / "kind1").iterdir())
        + [*sorted((tmp_path / "kind2").iterdir())]
    ):
        path.write_bytes(b"")
    done = here("check", "folder", "--data-dir", tmp_path)
    assert done.code == 2 and "problem: 30 files that can't be read as images; put" in done.out
    assert done.out.count("is empty (0 bytes)") == 20 and "  and 10 more" in done.out


def test_test_images_among_the_training_images_of_an_own_folder_are_a_problem(here, tmp_path: Path) -> None:
    write_split_folder(tmp_path, {"train": 5, "test": 2})
    shutil.copy(tmp_path / "test" / "kind1" / "0.png", tmp_path / "train" / "kind1" / "again.png")
    done = here("check", "folder-birds", "--data-dir", tmp_path)
    assert done.code == 2
    assert "problem: 1 image in several" in done.out and f"{tmp_path}/train/kind1/again.png" in done.out


def test_what_cannot_be_opened_is_one_message(here, tmp_path: Path) -> None:
    done = here("check", "voc07", "--data-dir", tmp_path)
    assert done.code == 2 and done.out == ""
    assert "missing: VOCdevkit/VOC2007/JPEGImages/" in done.err and "--download" in done.err
    assert here("check", "voc7").code == 2


def test_published_splits_are_read(here, tmp_path: Path) -> None:
    write_tiny("cars", tmp_path)
    for part, indices in (("train", range(20)), ("val", range(20, 24))):
        (tmp_path / f"cars_{part}_split.txt").write_text("".join(f"{index}\n" for index in indices))
    done = here("check", "cars", "--data-dir", tmp_path, "--splits-dir", tmp_path, "--quick")
    assert done.code == 0 and re.search(r"^train +20 +6,598 *$", done.out, re.MULTILINE)
    assert f"\nValidation: from {tmp_path}/cars_val_split.txt.\n" in done.out
    (tmp_path / "other").mkdir()
    done = here("check", "cars", "--data-dir", tmp_path, "--splits-dir", tmp_path / "other", "--quick")
    assert done.code == 2 and "has neither cars_train_split.txt nor cars_val_split.txt" in done.err
    assert "\nValidation: drawn, seed 0.\n" in here("check", "cars", "--data-dir", tmp_path, "--quick").out


def test_downloads_that_cannot_be(here, tmp_path: Path) -> None:
    for arguments, told in (
        (("imagenet", "--data-dir", tmp_path), "imagenet can't be fetched for you. Where to get it: https://image-net"),
        (("digits",), "comes with the program"),
        (("cifar10",), "expected --data-dir FOLDER as well"),
    ):
        done: Done = here("check", *arguments, "--download")
        assert done.code == 2 and told in done.err


def test_raw_files_are_told_from_the_published_ones_by_their_sums(here, tmp_path: Path, monkeypatch) -> None:
    write_tiny("cifar10", tmp_path)
    sums = [(path, md5((tmp_path / path).read_bytes()).hexdigest()) for path in get_dataset("cifar10").required]
    published = replace(get_dataset("cifar10"), sizes=(32, 8, 12), checksums=tuple(sums))
    monkeypatch.setitem(registry.DATASETS, "cifar10", published)
    assert here("check", "cifar10", "--data-dir", tmp_path).code == 0
    path = tmp_path / "cifar-10-batches-py" / "data_batch_4"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    done = here("check", "cifar10", "--data-dir", tmp_path)
    assert (
        done.code == 2
        and f"problem: 1 file with another MD5 than the published; fetch the data again:\n  {path}" in done.out
    )


def test_a_download_leaves_what_is_there_alone(here, tmp_path: Path) -> None:
    done = here("check", "cifar10", "--data-dir", write_tiny("cifar10", tmp_path), "--download")
    assert done.code == 0 and "already; nothing is downloaded" in done.err


@pytest.mark.parametrize("begun", [True, False])
def test_a_download_that_leaves_files_out_says_how_to_go_on(here, tmp_path: Path, monkeypatch, begun: bool) -> None:
    # torchvision's readers fetch nothing where a folder of that name is there already.
    monkeypatch.setitem(registry.DATASETS, "dtd", replace(get_dataset("dtd"), download=lambda folder: None))
    if begun:
        (tmp_path / "dtd" / "dtd" / "images").mkdir(parents=True)
    done = here("check", "dtd", "--data-dir", tmp_path, "--download")
    assert done.code == 2 and f"--download: {tmp_path} still lacks dtd/dtd/" in done.err
    assert (f"delete {tmp_path}/dtd, which is incomplete, and run this again" in done.err) == begun
    assert ("fetch the files by hand: https://" in done.err) == (not begun)


@pytest.mark.slow
def test_a_check_in_processes_of_its_own(tmp_path: Path) -> None:
    write_split_folder(tmp_path, {"train": 60, "test": 10})
    done = run("datasets", "check", "folder", "--data-dir", tmp_path, cwd=tmp_path)
    assert done.code == 0 and "210 of 210 images open. Nothing is wrong." in done.out and done.err == ""


def test_a_named_folder_is_swept_as_any_folder(monkeypatch, capsys, tmp_path: Path) -> None:
    data = write_split_folder(tmp_path / "data", {"train": 10, "test": 3})
    arguments = ("--dataset", "folder-birds", "--data-dir", data, "--pretrain", "--dry-run")
    done = run_here(monkeypatch, capsys, "sweep", *arguments, "--storage", tmp_path / "runs")
    assert done.code == 0, done
    assert "3 classes (kind0, kind1, kind2); 24 pretext, 24 train, 6 validation, 9 test images" in done.out
