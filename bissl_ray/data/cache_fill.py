"""Find the cache of some image files, or fill it: one process does, the others wait for it.

A cache belongs to a list of files, each known by its path, size, and times of last modification and last change. The
last can't be set by hand: a file whose content has changed has another one even if size and modification time were put
back, and then everything is decoded afresh. (Hashing the content would read every file whenever a worker starts.)
What decodes counts as well: another Pillow may round otherwise.
"""

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import features

from bissl_ray.data.cache_file import DecodedFile
from bissl_ray.data.cache_folder import SUFFIX, cache_folder, locked, make_room, room_for, touch
from bissl_ray.data.cache_write import Plan, plan_decoded, write_decoded
from bissl_ray.data.sources import ImageFiles
from bissl_ray.errors import BadInputError

_DECODING = 1
"""To raise when `decoding.to_rgb` or `ImageFiles` give other pixels than before; older caches are not taken then."""
_GROWTH = 1.25
"""A cache that some images had no room in is made afresh when it may take this many times the room."""


def open_or_fill(files: ImageFiles, limit: int) -> DecodedFile | None:
    """Map the decoded images of some files.

    Args:
        files: each once.
        limit: most bytes of this node's cache, other files' images included.

    Returns:
        The images, in the same order; None where there is no room, or the folder can't be written to: that is
        said once.

    Raises:
        BadInputError: an image can't be decoded, or the folder is none.
    """
    known = _identities(files)
    try:
        path = cache_folder() / f"{_key(files, known)}{SUFFIX}"
        found = _opened(path)
        if found is None or not found.complete:
            path.parent.mkdir(parents=True, exist_ok=True)
            with locked(path.parent):
                # Another process may have filled it while this one waited.
                found = _opened(path)
                room = room_for(path, limit)
                if found is None or (not found.complete and room > _GROWTH * found.room):
                    plan = plan_decoded(files, room)
                    if plan.held:
                        make_room(path, plan.length, limit)
                        _fill(path, plan, known)
                        found = _opened(path)
                    _say_what_is_left_out(plan, path.parent)
    except OSError as error:
        _say_once(f"there is no cache of decoded images ({error}); every image is decoded each time it is used")
        return None
    return found


def _opened(path: Path) -> DecodedFile | None:
    try:
        decoded = DecodedFile(path)
    except OSError:
        return None
    touch(path)
    return decoded


def _fill(path: Path, plan: Plan, known: NDArray[np.int64]) -> None:
    def unchanged(index: int) -> bool:
        before: list[int] = known[index].tolist()
        return before == _identity(plan.files.name(index))

    with _progress(plan.held) as done:
        write_decoded(path, plan, unchanged, done)


def _identity(path: str) -> list[int]:
    facts = os.stat(path)  # noqa: PTH116 - a Path for each of a million files takes longer than the call
    return [facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns]


def _identities(files: ImageFiles) -> NDArray[np.int64]:
    identities = np.empty((len(files), 3), dtype=np.int64)
    for index in range(len(files)):
        path = files.name(index)
        try:
            identities[index] = _identity(path)
        except OSError as error:
            raise BadInputError(f"{path}: this image can't be read ({error}); put an intact copy there") from error
    return identities


def _key(files: ImageFiles, known: NDArray[np.int64]) -> str:
    decoder = f"{_DECODING}, Pillow {PIL.__version__}, libjpeg-turbo {features.version('libjpeg_turbo')}"
    digest = hashlib.sha256(f"{decoder}\n{files.folder.resolve()}\n{files.shorter_side}\n".encode())
    digest.update("\0".join(files.names).encode(errors="surrogateescape"))
    digest.update(known.tobytes())
    return digest.hexdigest()[:32]


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """Show how many images are decoded, at a terminal only; yields what to call with the number of further ones."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("decoding every image once", total=total)
        yield lambda count: bar.advance(task, count)


def _say_what_is_left_out(plan: Plan, folder: Path) -> None:
    count = len(plan.index)
    if plan.held < count:
        _say_once(
            f"{folder} has room for {plan.held} of {count} decoded images ({plan.room / 2**30:.1f} GiB; cache_gib sets "
            "the limit); the others are decoded each time they are used"
        )


@cache
def _say_once(line: str) -> None:
    sys.stderr.write(f"bissl-ray: {line}\n")
    sys.stderr.flush()
