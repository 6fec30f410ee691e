"""Which files of a folder are images, which of these can be read, and what lies there that nobody put there.

A usual ending is believed: asking each of a million files costs a network disk a million visits. What has another
ending, or none, is asked for its first bytes.
"""

from functools import cache
from pathlib import Path, PurePath
from typing import Final, NamedTuple

from bissl_ray.signatures import BEGINNING, Kind, kind_of

USUAL: Final = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".webp", ".tif", ".tiff", ".gif"),
    *(".ppm", ".pgm", ".pbm", ".pnm"),
)
"""Endings of image files that are taken for such unseen, in lower case."""

_CAMERA_RAW: Final = frozenset(
    (".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw")
) | frozenset((".orf", ".pef", ".raf", ".raw", ".rw2", ".sr2", ".srf", ".srw", ".x3f"))
"""What cameras write: some begin as a TIFF does, and hold a thumbnail where Pillow looks for the image."""
_RAW: Final = Kind("raw", "a camera's raw image", image=True)

_SHOWN: Final = 24
SMALL: Final = 1024
"""Bytes up to which a file is too small to be believed an image unseen: no photograph is, and pointers are."""

_NOT_OF_ITS_OWN: Final = (
    *(".part", ".partial", ".crdownload", ".download", ".opdownload", ".filepart", ".aria2", ".!ut", ".gstmp"),
    *("~", "#", ".tmp", ".bak", ".orig", ".old", ".swp", "_original"),
)
"""How names end of files that are being fetched, or that editors keep: what is in them is no image of its own."""

_OTHER_IMAGES: Final = frozenset(
    (".tga", ".pcx", ".sgi", ".rgb", ".dds", ".ico", ".icns", ".xbm", ".xpm", ".msp", ".pfm", ".eps", ".djvu", ".jxr")
) | frozenset((".dcm", ".dicom", ".nii", ".fits", ".fit", ".fts"))
"""Endings of images that can't be told by their first bytes, and are not read."""

_LEFT_FILES: Final = (
    *("thumbs.db", "thumbs.db:encryptable", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r"),
    *("albumartsmall.jpg", "zbthumbnail.info", "picasa.ini"),
)
_LEFT_FOLDERS: Final = (
    *("__macosx", "@eadir", "@recycle", "@recently-snapshot", "@tmp", "@appstore", "#recycle", "#snapshot"),
    *("$recycle.bin", "recycler", "recycled", "found.000", "~snapshot", "_vti_cnf", "_gsdata_", "dropbox cache"),
    *("system volume information", "lost+found", "network trash folder", "temporary items"),
    *("__pycache__", "node_modules", "_thumbs"),
)
_LEFT: Final = frozenset((*_LEFT_FILES, *_LEFT_FOLDERS))
"""Files and folders that desktops, file servers and archives leave, in lower case."""


def is_ignored(name: str) -> bool:
    """Whether a file or folder was put there by a program for itself: hidden, a thumbnail, a bin."""
    return name.startswith((".", "~$")) or name.lower() in _LEFT or "@Syno" in name


def is_usual(name: str) -> bool:
    """Whether a file's name says that it is an image."""
    return name.lower().endswith(USUAL)


class Unread(NamedTuple):
    """Why a file can't be read as an image."""

    reason: str
    """After the file's name and a colon."""
    remedy: str
    """What to do."""


_CONVERT: Final = "convert it to JPEG or PNG, or move it away"
_FETCH: Final = "put the image itself there, or take the file away"


class Look(NamedTuple):
    """What a file turned out to be."""

    image: bool
    """Whether it is an image."""
    unread: Unread | None = None
    """Why it can't be read; None where it can, or is none."""


def look_at(path: str) -> Look:
    """Tell by a file's first bytes whether it is an image, and can be read.

    Raises:
        OSError: it can't be opened.
    """
    if path.lower().endswith(_NOT_OF_ITS_OWN):
        return Look(image=False)
    kind, ending = kind_of(path), PurePath(path).suffix.lower()
    if ending in _CAMERA_RAW and (kind is None or kind.image) and _is_binary(path):
        kind = _RAW
    if kind is None and ending in _OTHER_IMAGES:
        kind = Kind("other", f"an image of a kind ({ending})", image=True)
    if kind is None or not kind.image:
        return Look(image=False)
    return Look(image=True, unread=why_unread(kind))


def _is_binary(path: str) -> bool:
    with Path(path).open("rb") as file:
        return b"\0" in file.read(BEGINNING)


def look_at_small(path: str, size: int) -> Unread | None:
    """What is wrong with a file of at most `SMALL` bytes that is called an image; None where nothing is."""
    if size == 0:
        return Unread("is empty (0 bytes)", _FETCH)
    kind = kind_of(path)
    if kind is None and not _is_known_to_pillow(path):
        with Path(path).open("rb") as file:
            start = file.read(_SHOWN).decode("ascii", "backslashreplace")
        return Unread(f"is no image: it begins with {start!r}", _FETCH)
    if kind is None or kind.image:
        return None
    return Unread(f"is {kind.words}", "fetch the files with: git lfs pull" if kind.key == "lfs" else _FETCH)


def _is_known_to_pillow(path: str) -> bool:
    from PIL import Image, UnidentifiedImageError

    try:
        Image.open(path).close()
    except UnidentifiedImageError:
        return False
    except Exception:  # it is one, and damaged: said when it is decoded
        return True
    return True


def why_unread(kind: Kind) -> Unread | None:
    """Why images of a kind can't be read here, and what to do; None where they can."""
    if kind.key == "heic":
        needs = Unread(
            f"is {kind.words}, which needs the package pillow-heif", f'pip install "bissl-ray[heif]", or {_CONVERT}'
        )
        return None if heif_readable() else needs
    return None if kind.key in _readable() else Unread(f"is {kind.words}, which is not read here", _CONVERT)


@cache
def _readable() -> frozenset[str]:
    """Kinds that this Pillow decodes."""
    from PIL import features

    always = {"jpeg", "png", "gif", "tiff", "psd", "qoi", "bmp", "pnm"}
    optional = {"webp": "webp", "avif": "avif", "jp2": "jpg_2000"}
    return frozenset(always | {kind for kind, feature in optional.items() if features.check(feature)})


@cache
def heif_readable() -> bool:
    """Whether Pillow reads HEIC, which it learns from the package pillow-heif."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True
