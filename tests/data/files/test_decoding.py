"""Image files of every colour model become sensible RGB, or are refused by name."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bissl_ray.data.files.decoding import opened, to_rgb
from bissl_ray.errors import BadInputError

GREY = np.linspace(0, 255, 64 * 48).reshape(48, 64)


def decode(path: Path) -> Image.Image:
    with opened(path) as image:
        return to_rgb(image)


def pixels(path: Path) -> np.ndarray:
    image = decode(path)
    assert image.mode == "RGB" and image.size == (64, 48)
    return np.asarray(image).astype(int)


@pytest.mark.parametrize("ending", ["png", "tif", "pgm"])
def test_16_bits_keep_their_range(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"deep.{ending}"
    Image.fromarray((GREY * 257).astype(np.uint16)).save(path)
    found = pixels(path)
    assert np.abs(found - np.rint(GREY)[..., None]).max() <= 1


@pytest.mark.parametrize(
    ("mode", "ending"),
    [
        *(("L", "jpg"), ("CMYK", "jpg"), ("RGB", "jpg"), ("L", "png"), ("1", "png"), ("P", "png"), ("LA", "png")),
        *(("RGB", "bmp"), ("RGB", "webp"), ("RGB", "tif"), ("CMYK", "tif"), ("L", "pgm"), ("P", "gif")),
    ],
)
def test_every_colour_model_keeps_what_it_shows(tmp_path: Path, mode: str, ending: str) -> None:
    path = tmp_path / f"image.{ending}"
    Image.fromarray(np.where(GREY > 128, 255, 0).astype(np.uint8)).convert(mode).save(path)
    assert np.abs(pixels(path) - np.where(GREY > 128, 255, 0)[..., None]).mean() < 5


@pytest.mark.parametrize("mode", ["RGBA", "P", "LA"])
def test_transparent_parts_show_white(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "drawing.png"
    # A black drawing on a transparent ground whose hidden colour is black, too: without its opacity, all black.
    drawing = np.zeros((48, 64, 4), np.uint8)
    drawing[10:20, 10:20, 3] = 255
    if mode == "P":
        index = (drawing[..., 3] == 0).astype(np.uint8)
        image = Image.fromarray(index).convert("P")
        image.putpalette([0, 0, 0, 0, 0, 0])
        image.save(path, transparency=1)
    else:
        Image.fromarray(drawing).convert(mode).save(path)
    found = pixels(path)
    assert (found[10:20, 10:20] == 0).all() and (found[30:] == 255).all()


def test_orientation_is_left_as_torchvision_leaves_it(tmp_path: Path) -> None:
    path = tmp_path / "rotated.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(GREY.astype(np.uint8)).convert("RGB").save(path, exif=exif)
    assert pixels(path).shape == (48, 64, 3)


@pytest.mark.parametrize("content", [b"", b"no image at all", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_what_is_no_image_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "image.jpg"
    path.write_bytes(content)
    with pytest.raises(BadInputError, match=f"^{path}: this image can't be decoded") as caught:
        decode(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif", "bmp", "gif"])
def test_truncated_images_are_named(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"image.{ending}"
    noise = np.random.RandomState(0).randint(0, 256, (48, 64, 3)).astype(np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:-600])
    with pytest.raises(BadInputError, match=f"^{path}: this image can't be decoded"):
        decode(path)


def test_absent_images_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=f"^{tmp_path}/no.jpg: this image can't be decoded"):
        decode(tmp_path / "no.jpg")


@pytest.mark.parametrize("mode", ["I", "F"])
def test_values_without_a_known_range_are_refused(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "depth.tif"
    Image.fromarray(GREY.astype(np.int32 if mode == "I" else np.float32)).save(path)
    with pytest.raises(BadInputError, match=f"Pillow's mode {mode}, have no known range; save it with 8 or 16 bits"):
        decode(path)
