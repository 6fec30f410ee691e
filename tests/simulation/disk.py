"""A storage in memory that delays, refuses and tears, with those methods of pyarrow's that the store calls."""

import errno
import os
from collections.abc import Callable
from typing import Any

import pyarrow as pa
from pyarrow.fs import FileInfo, FileSelector, FileType

from tests.simulation.clockwork import SimProcess, SimWorld


class SimDisk:
    """A file system on which files are moved, or an object store.

    Attributes:
        type_name: as pyarrow's; "s3" puts whole files and moves nothing.
        files: what it holds, by path.
        full_until: moment until which nothing can be written.
        away_until: moment until which it refuses everything.
        flaky_until: moment until which it refuses now and then.
        before_change: called with the process that is about to change something.
        on_change: called with the path of a file that has come, changed or gone.
    """

    def __init__(self, world: SimWorld, type_name: str) -> None:
        self.world, self.type_name = world, type_name
        self.files: dict[str, bytes] = {}
        self.folders: set[str] = set()
        self.full_until = self.away_until = self.flaky_until = 0.0
        self.before_change: Callable[[SimProcess], None] = lambda process: None
        self.on_change: Callable[[str], None] = lambda path: None
        self.slowest = world.random.choice([0.0, 0.0, 0.05, 2.0])

    # What the store calls

    def get_file_info(self, what: Any) -> Any:
        self._moment()
        if isinstance(what, FileSelector):
            return self._below(what)
        return self._info(what) if isinstance(what, str) else [self._info(path) for path in what]

    def open_input_file(self, path: str) -> "_Input":
        self._moment()
        if path not in self.files:
            raise FileNotFoundError(errno.ENOENT, f"no such file: {path}")
        return _Input(self.files[path])

    def open_output_stream(self, path: str) -> "_Output":
        self._moment(writes=True)
        if self.type_name != "s3":
            self._need_folder(path)
            self.files[path] = b""
        return _Output(self, path)

    def create_dir(self, path: str, recursive: bool = True) -> None:
        self._moment(writes=True)
        while path:
            self.folders.add(path)
            path = path.rpartition("/")[0]

    def move(self, source: str, target: str) -> None:
        self._moment(writes=True)
        assert self.type_name != "s3", "an object store moves nothing"
        self._need_folder(target)
        if source in self.folders:
            if target in self.folders:
                raise OSError(errno.ENOTEMPTY, f"there is a folder {target}")
            self.folders = {_moved(folder, source, target) for folder in self.folders}
            self.files = {_moved(path, source, target): content for path, content in self.files.items()}
            return
        if source not in self.files:
            raise FileNotFoundError(errno.ENOENT, f"no such file: {source}")
        self.files[target] = self.files.pop(source)
        self.on_change(source)
        self.on_change(target)

    def copy_file(self, source: str, target: str) -> None:
        content = self.open_input_file(source).read()
        with self.open_output_stream(target) as stream:
            stream.write(content)

    def delete_file(self, path: str) -> None:
        self._moment()
        if path not in self.files:
            raise FileNotFoundError(errno.ENOENT, f"no such file: {path}")
        del self.files[path]
        self.on_change(path)

    def delete_dir(self, path: str) -> None:
        self._moment()
        if path not in self.folders:
            raise FileNotFoundError(errno.ENOENT, f"no such folder: {path}")
        inside = f"{path}/"
        self.folders = {folder for folder in self.folders if folder != path and not folder.startswith(inside)}
        self.files = {name: content for name, content in self.files.items() if not name.startswith(inside)}

    # How it behaves

    def _moment(self, writes: bool = False) -> None:
        """Something is asked of it: others may go first, it may take its time, and it may refuse."""
        world = self.world
        if self.slowest and world.random.random() < 0.2:
            world.sleep(world.random.uniform(0, self.slowest))
        else:
            world.give_way()
        if writes:
            self.before_change(world.here)
            if world.here.stopped_until > world.time:
                world.give_way()
        if world.time < self.away_until or (world.time < self.flaky_until and world.random.random() < 0.1):
            world.sleep(world.random.choice([0.0, 1.0]))
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if writes and world.time < self.full_until:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _need_folder(self, path: str) -> None:
        if path.rpartition("/")[0] not in self.folders:
            raise FileNotFoundError(errno.ENOENT, f"no such folder: {path}")

    def _info(self, path: str) -> FileInfo:
        if path in self.files:
            return FileInfo(path, FileType.File, size=len(self.files[path]))
        is_folder = path in self.folders or any(name.startswith(f"{path}/") for name in self.files)
        return FileInfo(path, FileType.Directory if is_folder else FileType.NotFound)

    def _below(self, selector: FileSelector) -> list[FileInfo]:
        inside = f"{selector.base_dir}/"
        found = [path for path in (*self.files, *self.folders) if path.startswith(inside)]
        if not selector.recursive:
            found = [path for path in found if "/" not in path.removeprefix(inside)]
        self.world.random.shuffle(found)
        return [self._info(path) for path in found]


class _Input:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self) -> bytes:
        return self._content

    def read_buffer(self) -> pa.Buffer:
        return pa.py_buffer(self._content)

    def __enter__(self) -> "_Input":
        return self

    def __exit__(self, *error: object) -> None:
        return


class _Output:
    """Half of what is written may be there when its process is killed; of an object store, nothing."""

    def __init__(self, disk: SimDisk, path: str) -> None:
        self._disk, self._path, self._content = disk, path, b""

    def write(self, data: bytes) -> None:
        half = len(data) // 2
        for part in (data[:half], data[half:]):
            self._disk._moment(writes=True)
            self._content += part
            if self._disk.type_name != "s3":
                if self._path not in self._disk.files:  # its folder was moved away, and the file with it
                    continue
                self._disk.files[self._path] = self._content

    def __enter__(self) -> "_Output":
        return self

    def __exit__(self, kind: Any, *error: object) -> None:
        if kind is None and self._disk.type_name == "s3":
            self._disk._moment(writes=True)
            self._disk.files[self._path] = self._content
            self._disk.on_change(self._path)


def _moved(path: str, source: str, target: str) -> str:
    return target + path[len(source) :] if path == source or path.startswith(f"{source}/") else path
