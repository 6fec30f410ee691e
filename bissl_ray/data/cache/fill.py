"""Find the cache of some image files, or fill it: one process does, the others wait for it.

A cache belongs to a list of files, each known by its path, size, and times of last modification and last change. The
last can't be set by hand: a file whose content has changed has another one even if size and modification time were put
back, and then everything is decoded afresh. (Hashing the content would read every file whenever a worker starts.)
What decodes counts as well: another Pillow may round otherwise.
"""

import hashlib
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import features

from bissl_ray.data.cache.file import DecodedFile
from bissl_ray.data.cache.folder import SUFFIX, cache_folder, make_room, remove_left_behind, room_for, touch
from bissl_ray.data.cache.lock import filling, folder_locked
from bissl_ray.data.cache.news import Tell
from bissl_ray.data.cache.scan import identities, identity, sizes_that_fit
from bissl_ray.data.cache.write import Plan, plan_decoded, reserved, write_decoded
from bissl_ray.data.files.sources import ImageFiles
from bissl_ray.progress import Note

_DECODING = 2
"""To raise when `decoding.to_rgb` or `ImageFiles` give other pixels than before; older caches are not taken then."""
_GROWTH = 1.25
"""A cache that some images had no room in is made afresh when it may take this many times the room."""


def open_or_fill(files: ImageFiles, limit: int, tell: Tell) -> DecodedFile | None:
    """Map the decoded images of some files.

    Args:
        files: each once.
        limit: most bytes of this node's cache, other files' images included.
        tell: is told how far the filling is, and of every image that has no room.

    Returns:
        The images, in the same order; None where there is no room, or the folder can't be written to:
        `tell` hears of it.

    Raises:
        BadInputError: an image can't be decoded, or the folder is none.
    """
    known = identities(files)
    found = None
    try:
        path = cache_folder() / f"{_key(files, known)}{SUFFIX}"
        found = _opened(path)
        if found is None or not found.complete:
            path.parent.mkdir(parents=True, exist_ok=True)
            found = _filled(path, files, known, limit, tell)
    except OSError as error:
        if found is None:
            tell(Note(f"there is no cache of decoded images ({error}); every image is decoded each time it is used"))
    return found


def _filled(path: Path, files: ImageFiles, known: NDArray[np.int64], limit: int, tell: Tell) -> DecodedFile | None:
    def unchanged(index: int) -> bool:
        before: list[int] = known[index].tolist()
        return before == identity(files.name(index))

    with filling(path, tell) as done, ExitStack() as writing:
        with folder_locked(path.parent):
            remove_left_behind(path.parent)
            # Another process may have filled it while this one waited.
            found = _opened(path)
            room = room_for(path, limit)
        if found is not None and (found.complete or room <= _GROWTH * found.room):
            return found
        sizes = sizes_that_fit(files, room)
        with folder_locked(path.parent):
            plan = plan_decoded(files, sizes, min(room, room_for(path, limit)))
            if plan.held:
                make_room(path, plan.length, limit)
                file = writing.enter_context(reserved(path, plan.length))
        _say_what_is_left_out(plan, path.parent, tell)
        if plan.held:
            write_decoded(file, path, plan, unchanged, done)
            # Until it is closed, it counts as being written.
            writing.close()
            found = _opened(path)
    return found


def _opened(path: Path) -> DecodedFile | None:
    try:
        decoded = DecodedFile(path)
    except OSError:
        return None
    touch(path)
    return decoded


def _key(files: ImageFiles, known: NDArray[np.int64]) -> str:
    decoder = f"{_DECODING}, Pillow {PIL.__version__}, libjpeg-turbo {features.version('libjpeg_turbo')}"
    about = f"{decoder}\n{files.folder.resolve()}\n{files.decoding}\n"
    digest = hashlib.sha256(about.encode(errors="surrogateescape"))
    digest.update("\0".join(files.names).encode(errors="surrogateescape"))
    digest.update(known.tobytes())
    return digest.hexdigest()[:32]


def _say_what_is_left_out(plan: Plan, folder: Path, tell: Tell) -> None:
    count = len(plan.index)
    if plan.held < count:
        tell(
            Note(
                f"{folder} has room for {plan.held:,} of {count:,} decoded images ({plan.room / 2**30:.1f} GiB; "
                "cache_gib is the limit, and half of what is free on its disk); "
                "the others are decoded each time they are used"
            )
        )
