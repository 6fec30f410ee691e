"""What a file is, told by its first bytes: names lie, and what a browser or a version control saved is seldom said."""

import re
from os import PathLike
from pathlib import Path
from typing import Final, NamedTuple

BEGINNING: Final = 4096
"""Bytes that are looked at."""


class Kind(NamedTuple):
    """A kind of file."""

    key: str
    """Short, for the program: "png"."""
    words: str
    """For a person, with its article: "a PNG image"."""
    image: bool = False
    """Whether it is a picture, readable here or not."""


_LFS = Kind("lfs", "a Git LFS pointer, which stands for the file itself")
_HTML = Kind("html", "a web page")
_AVIF = Kind("avif", "an AVIF image", image=True)
_HEIC = Kind("heic", "a HEIC image", image=True)
_PNM = Kind("pnm", "a PNM image", image=True)
_BMP = Kind("bmp", "a BMP image", image=True)
_WEBP = Kind("webp", "a WebP image", image=True)
_SVG = Kind("svg", "an SVG drawing", image=True)
_JSON = Kind("json", "a JSON text")
_SAFETENSORS = Kind("safetensors", "a safetensors file")
_TAR = Kind("tar", "a tar archive")
_VIDEO = Kind("video", "a video")
_ZEROS = Kind("zeros", "a file of zeros alone, as a broken download leaves it")

_STARTS: Final[tuple[tuple[bytes, Kind], ...]] = (
    (b"version https://git-lfs", _LFS),
    (b"\xff\xd8\xff", Kind("jpeg", "a JPEG image", image=True)),
    (b"\x89PNG\r\n\x1a\n", Kind("png", "a PNG image", image=True)),
    (b"GIF87a", Kind("gif", "a GIF image", image=True)),
    (b"GIF89a", Kind("gif", "a GIF image", image=True)),
    *((magic, Kind("tiff", "a TIFF image", image=True)) for magic in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    (b"\0\0\0\x0cjP  \r\n", Kind("jp2", "a JPEG 2000 image", image=True)),
    (b"\xff\x4f\xff\x51", Kind("jp2", "a JPEG 2000 image", image=True)),
    (b"\0\0\0\x0cJXL ", Kind("jxl", "a JPEG XL image", image=True)),
    (b"\xff\x0a", Kind("jxl", "a JPEG XL image", image=True)),
    (b"8BPS", Kind("psd", "a Photoshop file", image=True)),
    (b"qoif", Kind("qoi", "a QOI image", image=True)),
    (b"v/1\x01", Kind("exr", "an OpenEXR image", image=True)),
    (b"#?RADIANCE", Kind("hdr", "a Radiance image", image=True)),
    (b"\x1f\x8b", Kind("gzip", "a gzip archive")),
    (b"BZh", Kind("bzip2", "a bzip2 archive")),
    (b"\xfd7zXZ\0", Kind("xz", "an xz archive")),
    (b"\x28\xb5\x2f\xfd", Kind("zstd", "a Zstandard archive")),
    (b"7z\xbc\xaf\x27\x1c", Kind("7z", "a 7-Zip archive")),
    (b"Rar!", Kind("rar", "a RAR archive")),
    (b"PK\x03\x04", Kind("zip", "a zip archive")),
    (b"PK\x05\x06", Kind("zip", "an empty zip archive")),
    (b"\x93NUMPY", Kind("npy", "a NumPy array")),
    (b"\x89HDF\r\n\x1a\n", Kind("hdf5", "an HDF5 file, as Keras and TensorFlow write them")),
    (b"GGUF", Kind("gguf", "a GGUF file")),
    (b"PAR1", Kind("parquet", "a Parquet file")),
    (b"%PDF", Kind("pdf", "a PDF")),
    (b"\x7fELF", Kind("elf", "a program")),
    (b"{\\rtf", Kind("rtf", "a text document")),
    *((b"\x80" + bytes([protocol]), Kind("pickle", "a pickle")) for protocol in range(2, 6)),
)
_HEIC_BRANDS: Final = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
_PAGE: Final = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(!doctype\s+html|html|head|body|title)\b", re.I | re.S
)
_DRAWING: Final = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!.*?>\s*)*<svg\b", re.I | re.S)
_PORTABLE: Final = re.compile(rb"P[1-6](?:\s+#[^\n]*)*\s+\d+\s+\d+\s+\d")
_BMP_HEADERS: Final = (12, 16, 40, 52, 56, 64, 108, 124)


def kind_of(path: str | PathLike[str]) -> Kind | None:
    """What a file is, or None where its beginning tells nothing.

    Raises:
        OSError: it can't be read.
    """
    with Path(path).open("rb") as file:
        return kind_of_bytes(file.read(BEGINNING))


def kind_of_bytes(start: bytes) -> Kind | None:
    """The same of a file's first `BEGINNING` bytes, or as many as it has."""
    for magic, kind in _STARTS:
        if start.startswith(magic):
            return kind
    if start[4:8] == b"ftyp":
        return _of_brands(start)
    if start[:4] == b"RIFF":
        return _WEBP if start[8:12] == b"WEBP" else _VIDEO if start[8:12] == b"AVI " else None
    if start[:2] == b"BM" and int.from_bytes(start[14:18], "little") in _BMP_HEADERS:
        return _BMP
    if start[:4] == b"\x1aE\xdf\xa3":
        return _VIDEO
    if start[257:262] == b"ustar":
        return _TAR
    if len(start) > 9 and start[8:9] == b"{" and 0 < int.from_bytes(start[:8], "little") < 2**32:
        return _SAFETENSORS
    return _of_text(start)


def _of_brands(start: bytes) -> Kind | None:
    """A file of boxes, by the brands that its first box names."""
    size = min(int.from_bytes(start[:4], "big"), len(start))
    brands = [start[8:12], *(start[place : place + 4] for place in range(16, size, 4))]
    if b"avif" in brands or b"avis" in brands:
        return _AVIF
    return _HEIC if any(brand in _HEIC_BRANDS for brand in brands) else _VIDEO


def _of_text(start: bytes) -> Kind | None:
    bare = start.removeprefix(b"\xef\xbb\xbf")
    if _PAGE.match(bare):
        return _HTML
    if _DRAWING.match(bare):
        return _SVG
    if _PORTABLE.match(bare):
        return _PNM
    if bare.lstrip()[:1] in (b"{", b"[") and b"\0" not in bare:
        return _JSON
    return _ZEROS if len(start) >= 16 and not start.strip(b"\0") else None
