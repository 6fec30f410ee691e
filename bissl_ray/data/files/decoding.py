"""From an image file to RGB, whatever colour model it was saved in.

Grey of 16 bits is divided by 257, so that its full range stays; Pillow's own conversion clips to white in some file
formats. Transparent parts show white, as viewers show them: the colours that lie hidden there are arbitrary.

An orientation written in EXIF is not applied. torchvision's loader, which published checkpoints and figures were made
with and which an exported backbone mostly meets later, doesn't either; `datasets check` counts the images concerned.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from bissl_ray.errors import BadInputError


@contextmanager
def opened(path: str | Path) -> Iterator[Image.Image]:
    """Open an image file for the length of a `with` block, in which it may be decoded.

    Raises:
        BadInputError: it is absent, damaged, or of a kind that `to_rgb` refuses; names it.
    """
    try:
        with Image.open(path) as image:
            yield image
    except Exception as error:  # Pillow's decoders raise a dozen kinds on damaged files
        what = " ".join(str(error).split()) or type(error).__name__
        raise BadInputError(f"{path}: this image can't be decoded ({what}); {remedy_for(error)}") from error


def remedy_for(error: Exception) -> str:
    """What to do about a file that could not be read."""
    return "make it readable" if isinstance(error, PermissionError) else "put an intact copy there"


def to_rgb(image: Image.Image) -> Image.Image:
    """Decode an opened image to RGB; of several frames, the first.

    Raises:
        ValueError: floating point or 32-bit values, which could mean anything, or a colour model without a way to RGB.
    """
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
    return Image.fromarray(grey).convert("RGB")
