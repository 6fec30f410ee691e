"""Image files of every colour model become sensible RGB, or are refused by name."""

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps, PngImagePlugin

from bissl_ray.data.files.decoding import opened, to_rgb, upright_size
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


def with_orientation(path: Path, number: int) -> Path:
    exif = Image.Exif()
    exif[0x0112] = number
    Image.fromarray(GREY.astype(np.uint8)).convert("RGB").save(path, exif=exif)
    return path


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "avif", "tif"])
@pytest.mark.parametrize("number", range(1, 9))
def test_images_are_turned_as_viewers_turn_them(tmp_path: Path, number: int, ending: str) -> None:
    path = with_orientation(tmp_path / f"photo.{ending}", number)
    with Image.open(path) as reference:
        expected = ImageOps.exif_transpose(reference).convert("RGB")
    with opened(path) as image:
        size, found = upright_size(image), to_rgb(image)
    assert size == found.size == ((48, 64) if number >= 5 else (64, 48))
    assert np.array_equal(found, expected)


def test_images_are_left_as_torchvision_leaves_them(tmp_path: Path) -> None:
    with opened(with_orientation(tmp_path / "photo.jpg", 6)) as image:
        assert to_rgb(image, upright=False).size == (64, 48)


@pytest.mark.parametrize("number", [0, 9, 99])
def test_an_orientation_that_is_none_turns_nothing(tmp_path: Path, number: int) -> None:
    assert pixels(with_orientation(tmp_path / "photo.jpg", number)).shape == (48, 64, 3)


def test_damaged_exif_turns_nothing(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    Image.fromarray(GREY.astype(np.uint8)).save(path, exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert pixels(path).shape == (48, 64, 3)


def test_an_orientation_behind_the_pixels_of_a_png_is_found(tmp_path: Path) -> None:
    path = with_orientation(tmp_path / "photo.png", 6)
    content = path.read_bytes()
    start = content.index(b"eXIf") - 4
    length = 12 + int.from_bytes(content[start : start + 4], "big")
    exif, end = content[start : start + length], content.index(b"IEND") - 4
    path.write_bytes(content[:start] + content[start + length : end] + exif + content[end:])
    assert decode(path).size == (48, 64)


def test_long_text_in_a_png_is_no_reason_to_refuse_it(tmp_path: Path) -> None:
    path, info = tmp_path / "generated.png", PngImagePlugin.PngInfo()
    info.add_text("prompt", "a cat, " * 400_000, zip=True)
    info.add_itxt("workflow", "{}" * 1_500_000, zip=True)
    Image.fromarray(GREY.astype(np.uint8)).save(path, pnginfo=info)
    assert np.array_equal(pixels(path)[..., 0], GREY.astype(np.uint8))


@pytest.mark.slow
def test_very_large_images_are_read(tmp_path: Path) -> None:
    path = tmp_path / "scan.png"
    Image.new("L", (20_000, 10_000), 7).save(path, compress_level=1)
    with warnings.catch_warnings(), opened(path) as image:
        warnings.simplefilter("error")
        assert to_rgb(image).size == (20_000, 10_000)


@pytest.mark.parametrize("ending", ["gif", "png", "webp", "tif"])
def test_of_several_frames_the_first_is_taken(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"moving.{ending}"
    first, second = (Image.new("RGB", (64, 48), colour) for colour in ("red", "blue"))
    first.save(path, save_all=True, append_images=[second])
    assert np.abs(pixels(path) - [255, 0, 0]).max() < 10


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_16_bit_colours_keep_their_range(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"deep.{ending}"
    torch_image = torch.tensor(np.rint(GREY * 257)).to(torch.uint16).expand(3, -1, -1)
    if ending == "png":
        path.write_bytes(png_of_16_bits(torch_image.numpy()))
    else:
        Image.fromarray(torch_image[0].numpy()).save(path)
    assert np.abs(pixels(path) - np.rint(GREY)[..., None]).max() <= 1


def png_of_16_bits(values: np.ndarray) -> bytes:
    """A PNG of 16 bits a channel, which Pillow doesn't write; values: (3, H, W)."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    _, height, width = values.shape
    rows = values.transpose(1, 2, 0).astype(">u2").reshape(height, -1)
    pixels_of_rows = b"".join(b"\0" + row.tobytes() for row in rows)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(pixels_of_rows)) + chunk(b"IEND", b"")


def tiff_of_16_bits(values: np.ndarray, photometric: int, planar: int = 1) -> bytes:
    """An uncompressed TIFF, which Pillow doesn't write so; values: (channels, H, W)."""
    channels, height, width = values.shape
    rows = values if planar == 2 else values.transpose(1, 2, 0)
    pixels_of_file = np.ascontiguousarray(rows).astype("<u2").tobytes()
    strips = channels if planar == 2 else 1
    size = len(pixels_of_file) // strips
    after = 8 + len(pixels_of_file)
    longer = struct.pack("<3H", 16, 16, 16) if channels == 3 else b""
    places = struct.pack(f"<{strips}I", *(8 + size * n for n in range(strips)))
    counts = struct.pack(f"<{strips}I", *[size] * strips)
    bits_at, places_at = after, after + len(longer)
    counts_at = places_at + (len(places) if strips > 1 else 0)
    directory_at = counts_at + (len(counts) if strips > 1 else 0)
    entries = [
        (256, 3, 1, width),
        (257, 3, 1, height),
        (258, 3, channels, bits_at if channels == 3 else 16),
        (259, 3, 1, 1),
        (262, 3, 1, photometric),
        (273, 4, strips, places_at if strips > 1 else 8),
        (277, 3, 1, channels),
        (278, 4, 1, height),
        (279, 4, strips, counts_at if strips > 1 else size),
        (284, 3, 1, planar),
    ]
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    lists = places + counts if strips > 1 else b""
    return b"II*\0" + struct.pack("<I", directory_at) + pixels_of_file + longer + lists + directory


@pytest.mark.parametrize(("photometric", "shown"), [(1, GREY), (0, 255 - GREY)])
def test_16_bits_of_a_tiff_are_no_negative(tmp_path: Path, photometric: int, shown: np.ndarray) -> None:
    path = tmp_path / "scan.tif"
    path.write_bytes(tiff_of_16_bits(np.rint(GREY * 257)[None], photometric))
    assert np.abs(pixels(path) - np.rint(shown)[..., None]).max() <= 1


def test_16_bits_in_planes_are_read_by_pixel_and_refused_by_plane(tmp_path: Path) -> None:
    values = np.rint(np.stack([GREY, GREY[::-1], GREY[:, ::-1]]) * 257)
    (tmp_path / "pixels.tif").write_bytes(tiff_of_16_bits(values, 2))
    assert np.abs(pixels(tmp_path / "pixels.tif") - np.rint(values / 257).transpose(1, 2, 0)).max() <= 1
    (tmp_path / "planes.tif").write_bytes(tiff_of_16_bits(values, 2, planar=2))
    with pytest.raises(BadInputError, match="Pillow misreads colours of 16 bits that lie in planes; save it with 8"):
        decode(tmp_path / "planes.tif")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "a Git LFS pointer.*git lfs pull"),
        (b"<!DOCTYPE html><html>404</html>", "a web page: put the image itself there"),
        (b"\x1f\x8b\x08\0 and so on", "a gzip archive"),
        (b'<?xml version="1.0"?><svg xmlns="x"></svg>', "an SVG drawing, which is not read here: convert it"),
        (b"\xff\x0a and so on", "a JPEG XL image, which is not read here: convert it to JPEG or PNG"),
        (b"\0" * 500, "zeros alone"),
    ],
)
def test_what_lies_under_the_name_of_an_image_is_said(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "image.jpg"
    path.write_bytes(content)
    with pytest.raises(BadInputError, match=f"^{path}: this image can't be decoded .*{told}"):
        decode(path)


def test_heic_is_read_under_any_name(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    path = tmp_path / "telephone.jpg"
    with path.open("wb") as file:
        pillow_heif.from_pillow(Image.new("RGB", (64, 48), "red")).save(file, format="HEIF")
    assert np.abs(pixels(path) - [255, 0, 0]).max() < 10


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
