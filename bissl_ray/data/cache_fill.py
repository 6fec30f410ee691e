"""Find the cache of some image files, or fill it: one process does, the others wait for it.

A cache belongs to a list of files, each known by its path, size, and times of last modification and last change. The
last can't be set by hand: a file whose content has changed has another one even if size and modification time were put
back, and then everything is decoded afresh. (Hashing the content would read every file whenever a worker starts.)
What decodes counts as well: another Pillow may round otherwise.
"""

import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import features

from bissl_ray.data.cache_file import DecodedFile, Plan, plan_decoded, write_decoded
from bissl_ray.data.cache_folder import SUFFIX, cache_folder, locked, make_room, room_for, touch
from bissl_ray.data.sources import ImageFiles
from bissl_ray.errors import BadInputError

_GROWTH = 1.25
"""A cache that some images had no room in is made afresh when it may take this many times the room."""


def open_or_fill(sources: Sequence[ImageFiles], limit: int) -> DecodedFile | None:
    """Map the decoded images of some files.

    Args:
        sources: the files, each once.
        limit: most bytes of this node's cache, other files' images included.

    Returns:
        The images, one source after another; None where there is no room, or the folder can't be written to: that is
        said once.

    Raises:
        BadInputError: an image can't be decoded, or the folder is none.
    """
    known = [_identities(source) for source in sources]
    try:
        path = cache_folder() / f"{_key(sources, known)}{SUFFIX}"
        found = _opened(path)
        if found is None or not found.complete:
            path.parent.mkdir(parents=True, exist_ok=True)
            with locked(path.parent):
                # Another process may have filled it while this one waited.
                found = _opened(path)
                room = room_for(path, limit)
                if found is None or (not found.complete and room > _GROWTH * found.room):
                    plan = plan_decoded(sources, room)
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


def _fill(path: Path, plan: Plan, known: Sequence[NDArray[np.int64]]) -> None:
    def unchanged(which: int, index: int) -> bool:
        before: list[int] = known[which][index].tolist()
        return before == _identity(plan.sources[which].name(index))

    with _progress(plan.held) as done:
        write_decoded(path, plan, unchanged, done)


def _identity(path: str) -> list[int]:
    facts = os.stat(path)  # noqa: PTH116 - a Path for each of a million files takes longer than the call
    return [facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns]


def _identities(source: ImageFiles) -> NDArray[np.int64]:
    identities = np.empty((len(source), 3), dtype=np.int64)
    for index in range(len(source)):
        path = source.name(index)
        try:
            identities[index] = _identity(path)
        except OSError as error:
            raise BadInputError(f"{path}: this image can't be read ({error}); put an intact copy there") from error
    return identities


def _key(sources: Sequence[ImageFiles], known: Sequence[NDArray[np.int64]]) -> str:
    decoder = f"Pillow {PIL.__version__}, libjpeg-turbo {features.version('libjpeg_turbo')}"
    digest = hashlib.sha256(decoder.encode())
    for source, identities in zip(sources, known, strict=True):
        heading = f"\n{source.folder.resolve()} {len(source)} {source.shorter_side}\n"
        digest.update(heading.encode() + "\n".join(source.names).encode() + identities.tobytes())
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
