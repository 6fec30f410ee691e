"""Files from the web are kept where decoded images are: fetched once, by one process, and whole or not there."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from bissl_ray.data.cache.folder import cache_folder
from bissl_ray.errors import BadInputError
from bissl_ray.preflight.sources.address import Web
from bissl_ray.preflight.sources.answers import is_whole, sha256_of
from bissl_ray.preflight.sources.download import download, drop
from bissl_ray.preflight.sources.meter import meter, say
from bissl_ray.store.filesystem import reason


def kept(web: Web) -> Path:
    """The copy of a file from the web; it is fetched if there is none, and with a hash to check if it isn't that file.

    Raises:
        BadInputError: it can't be fetched or kept, or is not what was asked for.
    """
    try:
        # A folder beside that of decoded images, which makes room by itself; for each address one, with one file.
        place = cache_folder().with_name("checkpoints") / hashlib.sha256(web.shown.encode()).hexdigest()[:16]
        file = place / web.file_name
        if _is_there(file, web):
            return file
        place.mkdir(parents=True, exist_ok=True)
        with _alone(place, web):
            if not _is_there(file, web):
                _fetch(web, file)
        return file
    except OSError as error:
        where = f" in {error.filename}" if error.filename else ""
        raise BadInputError(
            f"{web.shown} can't be kept{where}: {reason(error)}; free it, or name another folder in BISSL_RAY_CACHE"
        ) from None


def _is_there(file: Path, web: Web) -> bool:
    return file.is_file() and web.sha256 in (None, sha256_of(file))


@contextmanager
def _alone(place: Path, web: Web) -> Iterator[None]:
    """Hold the lock of an address for the duration of a `with` block; the system frees that of a killed process."""
    lock = FileLock(place / ".lock")  # no address gives a file a name like that
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"waiting for another process that fetches {web.shown}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _fetch(web: Web, file: Path) -> None:
    if web.secret_is_lost:
        raise BadInputError(
            f"{web.shown} is not kept in {file.parent}, and its query, which may hold a password, is written down "
            "nowhere: give the whole address again"
        )
    part = file.with_name(f"{file.name}.part")
    try:
        with meter(f"{web.shown} to {file}") as advance:
            download(web, part, advance)
        _check(web, part)
        _bring_to_disk(part)
        part.replace(file)
    except OSError:
        drop(part)  # a full disk has better uses
        raise
    drop(part)


def _check(web: Web, part: Path) -> None:
    found = sha256_of(part) if web.sha256 is not None else None
    if found != web.sha256:
        drop(part)
        raise BadInputError(
            f"{web.shown}: the file that came has sha256={found}; it was changed, or another hash was meant: check both"
        )
    if web.sha256 is None and not is_whole(part):
        drop(part)
        raise BadInputError(f"{web.shown}: what came is cut short, though its server calls it whole: try later")


def _bring_to_disk(part: Path) -> None:
    with part.open("rb") as stream:
        os.fsync(stream.fileno())
