"""From an image file to RGB, whatever colour model it was saved in.

Grey of 16 bits is divided by 257, so that its full range stays; Pillow's own conversion clips to white in some file
formats. Transparent parts show white, as viewers show them: the colours that lie hidden there are arbitrary. Of an
animation, the first frame.

An orientation written in EXIF is applied, as viewers do, unless it is asked not to be (`Decoding.upright`):
torchvision's loader, which published figures were made with, leaves it. Pillow turns TIFF by itself, pillow-heif HEIC.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from PIL import Image, PngImagePlugin, UnidentifiedImageError

from bissl_ray.data.files.formats import heif_readable, why_unread
from bissl_ray.errors import BadInputError
from bissl_ray.signatures import kind_of

_MOST_PIXELS: Final = 2**29
# Pillow warns of 90 megapixels and refuses 180, and text of a megabyte: scans and satellite images have more of both.
Image.MAX_IMAGE_PIXELS = None
PngImagePlugin.MAX_TEXT_CHUNK = 64 * 2**20
PngImagePlugin.MAX_TEXT_MEMORY = 256 * 2**20
# Of damaged metadata, which change nothing that is seen.
warnings.filterwarnings("ignore", module="PIL")

_ORIENTATION: Final = 0x0112
_SAYS_IN_PNG: Final = ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp")
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What to do to an image of an orientation; 1 is upright."""


@contextmanager
def opened(path: str | Path) -> Iterator[Image.Image]:
    """Open an image file for the length of a `with` block, in which it may be decoded.

    Raises:
        BadInputError: it is absent, damaged, or of a kind that `to_rgb` refuses; names it.
    """
    try:
        with _open(path) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise ValueError(f"it has {image.width:,} x {image.height:,} pixels, more than {_MOST_PIXELS:,}")
            yield image
    except Exception as error:  # Pillow's decoders raise a dozen kinds on damaged files
        raise BadInputError(f"{path}: this image can't be decoded ({_what(error)}); {_remedy(path, error)}") from error


def _open(path: str | Path) -> Image.Image:
    try:
        return Image.open(path)
    except UnidentifiedImageError:
        if not heif_readable():
            raise
        # Now it is known to Pillow, in this process too.
        return Image.open(path)


def _what(error: Exception) -> str:
    # It names the file, which the line does already.
    said = "it is no image that Pillow knows" if isinstance(error, UnidentifiedImageError) else str(error)
    return " ".join(said.split()) or type(error).__name__


def _remedy(path: str | Path, error: Exception) -> str:
    if isinstance(error, PermissionError):
        return remedy_for(error)
    try:
        kind = kind_of(path)
    except OSError:
        return remedy_for(error)
    if kind is None or (kind.image and why_unread(kind) is None):
        size = "pixels, more than" in str(error)
        return "scale it down" if size else f"{remedy_for(error)}, or take it away"
    unread = why_unread(kind) if kind.image else None
    if unread is not None:
        return f"it {unread.reason}: {unread.remedy}"
    git = ": fetch it with git lfs pull" if kind.key == "lfs" else ": put the image itself there"
    return f"it is {kind.words}{git}"


def remedy_for(error: Exception) -> str:
    """What to do about a file that could not be read."""
    return "make it readable" if isinstance(error, PermissionError) else "put an intact copy there"


def orientation(image: Image.Image) -> int:
    """What EXIF says of an opened image's orientation, 1 to 8; 1, upright, where it says nothing sensible."""
    # Pillow turns TIFF by itself. A PNG may have it behind its pixels: then it is known once they are decoded.
    if image.format == "TIFF" or (image.format == "PNG" and not any(key in image.info for key in _SAYS_IN_PNG)):
        return 1
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged EXIF is no reason to do without the image: viewers show it as it is
        return 1
    return found if found in _TURNS else 1


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height of an opened image once it is turned as EXIF says."""
    width, height = image.size
    return (height, width) if orientation(image) >= 5 else (width, height)


def to_rgb(image: Image.Image, upright: bool = True) -> Image.Image:
    """Decode an opened image to RGB; of several frames, the first.

    Args:
        image: as of `opened`.
        upright: turn it as EXIF says.

    Raises:
        ValueError: floating point or 32-bit values, which could mean anything, or a colour model without a way to RGB.
    """
    image.load()
    rgb = _in_rgb(image)
    turn = _TURNS.get(orientation(image)) if upright else None
    return rgb if turn is None else rgb.transpose(turn)


def _in_rgb(image: Image.Image) -> Image.Image:
    if image.format == "TIFF" and _in_planes_of_16_bits(image):
        raise ValueError("Pillow misreads colours of 16 bits that lie in planes; save it with 8, or pixel by pixel")
    # Pillow holds a 16-bit PGM in 32 bits.
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PPM", "PNG")):
        return _from_16_bits(image)
    if image.mode in ("I", "F"):
        raise ValueError(f"its values, of Pillow's mode {image.mode}, have no known range; save it with 8 or 16 bits")
    if image.has_transparency_data:
        opaque = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", opaque.size, "white"), opaque).convert("RGB")
    return image.convert("RGB")


def _from_16_bits(image: Image.Image) -> Image.Image:
    import numpy as np

    grey = np.rint(np.asarray(image).astype(np.float32) / 257).astype(np.uint8)
    # Pillow turns white-is-zero round where it has 8 bits, and not here.
    if image.format == "TIFF" and _tiff_tag(image, _PHOTOMETRIC) == 0:
        grey = 255 - grey
    return Image.fromarray(grey).convert("RGB")


_PHOTOMETRIC: Final = 262
_BITS: Final = 258
_PLANAR: Final = 284


def _tiff_tag(image: Image.Image, tag: int) -> Any:
    return getattr(image, "tag_v2", {}).get(tag)


def _in_planes_of_16_bits(image: Image.Image) -> bool:
    bits = _tiff_tag(image, _BITS) or ()
    return _tiff_tag(image, _PLANAR) == 2 and isinstance(bits, tuple) and len(bits) > 1 and 16 in bits
