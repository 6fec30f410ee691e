"""The decoded cache: the same bits with it, without it and with half of it; never an image that has changed."""

import os
import pickle
import struct
import zlib
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bissl_ray.config.data_choice import Decoding
from bissl_ray.data import get_dataset
from bissl_ray.data.cache.images import CachedImages, cached_splits
from bissl_ray.data.files.changed import decoded
from bissl_ray.data.files.sources import ImageFiles, JoinedImages
from bissl_ray.data.spec import Labelled
from bissl_ray.errors import BadInputError
from tests.data.batches import image_at, pretext_batches, scored_batches, train_batches
from tests.data.tiny.cars import write_tiny_cars

pytestmark = pytest.mark.slow

CARS = get_dataset("cars")
GIB = 1 / 2**30
"""One byte, in the unit of the setting."""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BISSL_RAY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "decoded"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Tiny cars whose images differ in size and colour model."""
    root = write_tiny_cars(tmp_path / "data")
    images = sorted((root / "stanford_cars" / "cars_train").iterdir())
    for number, mode in enumerate(("L", "CMYK", "RGB")):
        with Image.open(images[number]) as image:
            image.convert(mode).resize((30 + 10 * number, 21)).save(images[number], "JPEG")
    with Image.open(images[3]) as image:
        image.convert("P").resize((1, 50)).save(images[3], "PNG")
    return root


def made(cache: Path) -> list[Path]:
    return sorted(cache.glob("*.images"))


def pixels(source) -> list[torch.Tensor]:
    from torchvision.transforms.v2 import functional as F

    images = [image_at(source, index) for index in range(len(source))]
    return [F.pil_to_tensor(image) if isinstance(image, Image.Image) else image for image in images]


def same(one, other) -> bool:
    return len(one) == len(other) and all(torch.equal(x, y) for x, y in zip(one, other, strict=True))


def held(source: CachedImages) -> int:
    return sum(isinstance(image_at(source, index), torch.Tensor) for index in range(len(source)))


def batches(splits, processes: int) -> list[torch.Tensor]:
    """What training and scoring see."""
    arguments = {"image_size": 32, "batch": 8, "processes": processes}
    taken = []
    for make, source in ((pretext_batches, splits.pretext), (train_batches, splits.train)):
        stream = make(source, CARS, seed=3, **arguments)
        taken += [part for batch in islice(stream, 3) for part in batch]
        stream.close()
    scored = scored_batches(splits.validation, CARS, **arguments)
    taken += [part for batch in scored for part in batch]
    scored.close()
    return taken


def test_every_bit_is_the_same_with_and_without_the_cache(folder: Path, cache: Path) -> None:
    plain = CARS.open(folder)
    expected = batches(plain, 0)
    cached = cached_splits(CARS.open(folder), 1.0)
    assert held(cached.train) == 19 and held(cached.validation) == 5 and held(cached.pretext) == 19
    assert cached.train.targets == plain.train.targets and cached.train.name(2) == plain.train.name(2)
    assert not isinstance(cached.pretext, Labelled)
    assert cached.fingerprint == plain.fingerprint and isinstance(cached.test.images, ImageFiles)
    assert same(batches(cached, 0), expected)
    assert same(batches(cached, 2), expected)
    assert same(batches(cached_splits(plain, 0.0), 0), expected)


def test_what_does_not_fit_is_decoded_each_time(folder: Path, cache: Path, capfd) -> None:
    plain = CARS.open(folder)
    cached = cached_splits(plain, 40_000 * GIB)
    assert 0 < held(cached.pretext) < len(cached.pretext)
    assert same(batches(cached, 0), batches(plain, 0))
    assert sum(file.stat().st_size for file in made(cache)) <= 40_000
    (line,) = capfd.readouterr().err.splitlines()
    assert "of 24 decoded images" in line and "cache_gib" in line
    # Where there is more room, it is filled afresh; where there is little more, it isn't.
    (before,) = made(cache)
    build = before.read_bytes()[8:24]
    cached_splits(plain, 41_000 * GIB)
    assert before.read_bytes()[8:24] == build
    assert held(cached_splits(plain, 1.0).pretext) == len(cached.pretext)
    assert made(cache) == [before]


def test_nothing_is_decoded_a_second_time(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = cached_splits(CARS.open(folder), 1.0)
    expected = pixels(first.train)

    def decoded_again(self, index):
        raise AssertionError(self.name(index))

    monkeypatch.setattr(ImageFiles, "__getitem__", decoded_again)
    again = cached_splits(CARS.open(folder), 1.0)
    assert same(pixels(again.train), expected)
    assert len(made(cache)) == 1


def test_another_split_of_the_same_files_has_the_same_cache(folder: Path, cache: Path) -> None:
    from bissl_ray.data import SplitChoice

    for seed in (0, 1):
        splits = cached_splits(CARS.open(folder, SplitChoice(seed)), 1.0)
        assert same(pixels(splits.train), pixels(CARS.open(folder, SplitChoice(seed)).train))
    assert len(made(cache)) == 1


def test_a_changed_file_is_never_taken_from_the_cache(folder: Path, cache: Path) -> None:
    splits = cached_splits(CARS.open(folder), 1.0)
    path, other = Path(splits.train.name(5)), Path(splits.train.name(6))
    before, facts = pixels(splits.train)[5], path.stat()
    content = other.read_bytes()
    # The same size and modification time: the time of the last change tells.
    path.write_bytes(content[: facts.st_size].ljust(facts.st_size, b"\0"))
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (facts.st_size, facts.st_mtime_ns)
    after = pixels(cached_splits(CARS.open(folder), 1.0).train)[5]
    assert not torch.equal(before, after)
    assert torch.equal(after, pixels(CARS.open(folder).train)[5])


def test_loader_processes_get_no_pixels_but_the_way_to_them(folder: Path, cache: Path) -> None:
    root = write_tiny_cars(folder / "larger", size=(480, 400))
    source = cached_splits(CARS.open(root), 1.0).train
    content = pickle.dumps(source)
    assert len(content) < 10_000
    # A copy is a few bytes per image, not a Python object for each name and label.
    many = ImageFiles(root, [f"n{number // 1300:08d}/{number:08d}.jpg" for number in range(20_000)])
    cached = Labelled(CachedImages(many, source.images.decoded, np.arange(len(many))), range(20_000))
    assert len(pickle.dumps(cached)) < 60 * len(many)
    assert same(pixels(pickle.loads(content)), pixels(source))
    # Another file in its place, or none: decoded there.
    (path,) = made(cache)
    path.write_bytes(path.read_bytes()[:8] + b"x" * 16 + path.read_bytes()[24:])
    for _ in range(2):
        elsewhere = pickle.loads(content)
        assert held(elsewhere) == 0 and same(pixels(elsewhere), pixels(CARS.open(root).train))
        path.unlink(missing_ok=True)


def test_parts_of_joined_sources_are_cached_each(folder: Path, cache: Path) -> None:
    from dataclasses import replace

    splits = CARS.open(folder)
    joined = JoinedImages([splits.train.images, splits.validation.images])
    cached = cached_splits(replace(splits, pretext=joined), 1.0)
    assert same(pixels(cached.pretext), pixels(joined))
    assert [held(part) for part in cached.pretext.sources] == [19, 5]
    assert same(pixels(cached.pretext.select([20, 3])), [pixels(joined)[3], pixels(joined)[20]])


def test_images_can_be_reduced_whether_they_are_held_or_not(folder: Path, cache: Path) -> None:
    plain = CARS.open(folder)
    some, none = (cached_splits(decoded(plain, Decoding(24)), limit) for limit in (20_000 * GIB, 0.0))
    assert 0 < held(some.pretext) < len(some.pretext)
    assert same(batches(some, 0), batches(none, 0))
    assert same(pixels(some.test), pixels(none.test))
    shapes = {tuple(image.shape[1:]) for image in pixels(none.train)}
    assert {min(shape) for shape in shapes} <= {1, 21, 24} and (24, 29) in shapes
    assert some.fingerprint == none.fingerprint != plain.fingerprint


def test_a_damaged_image_is_named_before_training(folder: Path, cache: Path) -> None:
    damaged = folder / "stanford_cars" / "cars_train" / "00009.jpg"
    damaged.write_bytes(damaged.read_bytes()[:-300])
    with pytest.raises(BadInputError, match=f"^{damaged}: this image can't be decoded"):
        cached_splits(CARS.open(folder), 1.0)
    assert not made(cache) and not list(cache.glob("*.part"))


def test_an_image_of_absurd_size_is_named(folder: Path, cache: Path) -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0))
    bomb = folder / "stanford_cars" / "cars_train" / "00005.jpg"
    bomb.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b""))
    for limit in (1.0, 0.0):
        with pytest.raises(
            BadInputError, match=f"^{bomb}: this image can't be decoded .*30,000 x 30,000 pixels.*scale it down"
        ):
            pixels(cached_splits(CARS.open(folder), limit).pretext)


def test_data_in_memory_need_no_cache(cache: Path) -> None:
    splits = get_dataset("digits").open(None)
    assert cached_splits(splits, None) == splits
    assert not cache.exists()
