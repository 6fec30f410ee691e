"""One process per sweep or stage: two that ran the same at once would spoil each other's results."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from pyarrow.fs import FileSystem, FileType
from pydantic import BaseModel, ValidationError

from bissl_ray.errors import BadInputError
from bissl_ray.store.filesystem import atomic_write, open_storage

_BEAT_S: Final = 5.0
_STALE_S: Final = 30.0


class LockFile(BaseModel):
    """lock.json: who works in a folder.

    Attributes:
        host: name of the machine.
        pid: of the process there.
        renewed_at: when it last said so, seconds since the epoch.
        version: of the file's shape.
    """

    host: str
    pid: int
    renewed_at: float
    version: int = 1


def check_free(storage: str, folder: str, what: str) -> None:
    """Make sure that nobody works in a folder; arguments and errors as `locked`."""
    filesystem, base = open_storage(storage)
    holder = _read(filesystem, f"{base}/{folder}/lock.json")
    if holder is not None and _holds(holder):
        raise BadInputError(
            f"{what} is being run by process {holder.pid} on {holder.host}: wait for it to end, "
            "or stop it with Ctrl-C there"
        )


@contextmanager
def locked(storage: str, folder: str, what: str) -> Iterator[None]:
    """Hold a sweep's or a stage's folder for the duration of a `with` block.

    The lock is a file, `<folder>/lock.json`, that says who holds it and is renewed every few seconds. One
    that was not renewed for half a minute, or whose process on this machine is gone, is void: what was killed can be
    resumed. Two processes that start within the same instant on an object store may both get it.

    Args:
        storage: absolute.
        folder: relative to the storage, such as "sweeps/night".
        what: is held, for error lines: "sweep night".

    Raises:
        BadInputError: another process is running it.
    """
    check_free(storage, folder, what)
    filesystem, base = open_storage(storage)
    path = f"{base}/{folder}/lock.json"
    filesystem.create_dir(path.rpartition("/")[0], recursive=True)
    _renew(filesystem, path)
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(_BEAT_S):
            with suppress(OSError):  # a full disk, say: tried again in a moment
                _renew(filesystem, path)

    thread = threading.Thread(target=beat, name=f"lock-{folder}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        with suppress(OSError):
            filesystem.delete_file(path)


def _holds(holder: LockFile) -> bool:
    if time.time() - holder.renewed_at > _STALE_S:
        return False
    if holder.host != socket.gethostname():
        return True
    try:
        with suppress(PermissionError):  # somebody else's, and alive
            os.kill(holder.pid, 0)
    except ProcessLookupError:
        return False
    return True


def _read(filesystem: FileSystem, path: str) -> LockFile | None:
    """Who holds a lock; nobody where the file is none of ours, or half of one."""
    if filesystem.get_file_info(path).type != FileType.File:
        return None
    try:
        with filesystem.open_input_file(path) as stream:
            return LockFile.model_validate_json(stream.read())
    except (OSError, ValidationError):
        return None


def _renew(filesystem: FileSystem, path: str) -> None:
    mine = LockFile(host=socket.gethostname(), pid=os.getpid(), renewed_at=time.time())
    atomic_write(filesystem, path, mine.model_dump_json().encode())
