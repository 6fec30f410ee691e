"""Files of rows come and go by the hand of who holds the sweep alone, where a file system can see to that (issue 18).

A holder has a folder of its own beside its claim. What it writes is written there and moved to its place; what it
removes is moved there first. Who takes the sweep from it moves that folder away, after which neither can succeed any
more, however long the holder stood still between looking and doing. An object store moves nothing: there the holder
looks whether it holds the sweep, and writes. What comes to its place so late is outranked: who takes the sweep stamps
its rows later than that holder could have.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, Protocol

from pyarrow.fs import FileSystem

from bissl_ray.store.filesystem import atomic_write, delete_if_there, moves, write_aside

EVER: Final = datetime.min.replace(tzinfo=UTC)
"""Before any row."""


class Files(Protocol):
    """Writes and removes the files of a folder that several may want to write in.

    Attributes:
        after: rows are to be stamped later than this.
    """

    after: datetime

    def write(self, path: str, data: bytes) -> None:
        """Write a file, which appears whole (raises OSError, and RunFailedError: it may not any more)."""

    def remove(self, path: str) -> None:
        """Remove a file; nothing happens where there is none (raises as `write`)."""


class Anyones:
    """Files that nobody holds."""

    def __init__(self, filesystem: FileSystem) -> None:
        self._filesystem = filesystem
        self.after = EVER

    def write(self, path: str, data: bytes) -> None:
        """Write it."""
        atomic_write(self._filesystem, path, data)

    def remove(self, path: str) -> None:
        """Remove it."""
        delete_if_there(self._filesystem, path)


class Holders:
    """Files of who holds a folder, for as long as that is so."""

    def __init__(self, filesystem: FileSystem, own: str, check: Callable[[], None]) -> None:
        """Set up.

        Args:
            filesystem: of the storage.
            own: folder of this holder alone, which it makes; taken away from it, it has lost what it held.
            check: raises RunFailedError where it has.
        """
        self._filesystem, self._own, self._check = filesystem, own, check
        self.after = EVER
        self._moves = moves(filesystem)
        if self._moves:
            filesystem.create_dir(own, recursive=True)

    def write(self, path: str, data: bytes) -> None:
        """Write it, as `Files.write`."""
        self._check()
        if not self._moves:
            atomic_write(self._filesystem, path, data)
            return
        try:
            write_aside(self._filesystem, f"{self._own}/{path.rpartition('/')[2]}", path, data)
        except FileNotFoundError:
            self._check()  # the folder is gone, and why is known by now, or at the next try
            raise

    def remove(self, path: str) -> None:
        """Remove it, as `Files.remove`."""
        self._check()
        if not self._moves:
            delete_if_there(self._filesystem, path)
            return
        mine = f"{self._own}/{path.rpartition('/')[2]}"
        # Gone already, or the folder: then it is another's to remove.
        with suppress(FileNotFoundError):
            self._filesystem.move(path, mine)
            self._filesystem.delete_file(mine)
