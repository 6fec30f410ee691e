"""Processes that decode beside a worker: how they are started, how they end, and how a batch comes out of one.

They start by forkserver. Forking a Ray actor, which has threads, can deadlock the child; spawning imports torch once
per process. The fork server is a fresh process without threads that has imported once what every loader process needs.
"""

import multiprocessing
import os
import pickle
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import forkserver, util
from pathlib import Path
from typing import Any, Final

from torch import Tensor
from torch.utils.data import get_worker_info

from bissl_ray.data.cache.news import OnStderr
from bissl_ray.data.nested import each_tensor
from bissl_ray.data.sockets import BELOW_TEMPORARY, fits, private_folder
from bissl_ray.progress import Note

_PRELOADED: Final = [
    *("__main__", "bissl_ray.data.loaders"),
    *("bissl_ray.data.files.sources", "bissl_ray.data.photographs", "bissl_ray.data.augment.preloaded"),
]
"""What loader processes are forked with: importing torchvision and compiled code takes each over a second."""


def start_server() -> None:
    """Start the fork server of this process, unless it runs.

    Raises:
        BadInputError: there is no folder for its socket.
    """
    multiprocessing.get_context("forkserver").set_forkserver_preload(_PRELOADED)
    with _room_for_sockets(), _nothing_from_the_current_folder():
        forkserver.ensure_running()


def die_with_parent(_process: int) -> None:
    """End this loader process when the process it works for is gone, even if that was killed.

    torch watches the parent process id, which under forkserver is the server's, and the server outlives
    its client as long as a loader process does.
    """
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


@dataclass(frozen=True)
class _Piped:
    """A batch for which shared memory had no room: its bytes, which go through the pipe itself."""

    pickled: bytes


def sent(batch: Any) -> Any:
    """A batch as it leaves this process: in shared memory, if this is a loader process and there is room.

    Without room, torch would say so in a thread that nobody listens to, and the worker would wait for ever.
    """
    if get_worker_info() is None:
        return batch
    try:
        return each_tensor(batch, Tensor.share_memory_)
    except RuntimeError:
        return _Piped(pickle.dumps(batch))


def received(batch: Any) -> Any:
    """The batch that `sent` was given."""
    if not isinstance(batch, _Piped):
        return batch
    OnStderr()(
        Note(
            "/dev/shm is full, so batches come from loader processes through pipes, which takes longer: make it larger "
            "(docker run --shm-size=2g), or set loader_processes to 0"
        )
    )
    return pickle.loads(batch.pickled)


@contextmanager
def _room_for_sockets() -> Iterator[None]:
    """Let multiprocessing choose its folder, which it removes itself, where a socket's path isn't too long."""
    if fits(tempfile.gettempdir(), BELOW_TEMPORARY):
        yield
        return
    before, folder = tempfile.tempdir, private_folder(BELOW_TEMPORARY)
    tempfile.tempdir = folder
    try:
        util.Finalize(None, _remove, args=(folder,), exitpriority=-101)
        # It stays the same for this process, and those that it starts.
        util.get_temp_dir()
        yield
    finally:
        tempfile.tempdir = before


def _remove(folder: str) -> None:
    with suppress(OSError):
        Path(folder).rmdir()


@contextmanager
def _nothing_from_the_current_folder() -> Iterator[None]:
    """Keep a torch.py that lies about from what the fork server imports; it gets this process's path afterwards."""
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before
