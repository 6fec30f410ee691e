"""Checkpoints that a person names: files of this machine, or of a storage that pyarrow knows."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import pyarrow as pa
from pyarrow.fs import FileType, LocalFileSystem, copy_files

from bissl_ray.errors import BadInputError
from bissl_ray.models import Checkpoint, load_checkpoint
from bissl_ray.models.published_files import head_name, settings_name
from bissl_ray.store import open_storage
from bissl_ray.store.filesystem import reason


def read_checkpoint(path: str, head: str | None = None) -> Checkpoint:
    """Read a checkpoint, and what was published beside it.

    Args:
        path: a file of this machine, or a URI such as s3://bucket/file.pth.
        head: likewise, a file of its pretext head; None: in it, beside it, or none.

    Raises:
        BadInputError: there is none, or it can't be read.
    """
    with ExitStack() as files:
        file = files.enter_context(fetched(path))
        return load_checkpoint(file, None if head is None else files.enter_context(fetched(head)))


@contextmanager
def fetched(path: str) -> Iterator[Path]:
    """A file that a person names, for the duration of a `with` block; of a storage a copy, with what belongs to it.

    In a BadInputError of the block the file has its own address.

    Raises:
        BadInputError: there is no such file in the storage, or it doesn't answer.
    """
    if "://" not in path:
        yield Path(path)
        return
    filesystem, place = open_storage(path)
    source = PurePosixPath(place)
    with TemporaryDirectory() as folder:
        try:
            for name in (source.name, head_name(source.name), settings_name(source.name)):
                each = None if name is None else source.with_name(name).as_posix()
                if each is not None and filesystem.get_file_info(each).type == FileType.File:
                    copy_files(each, f"{folder}/{name}", filesystem, LocalFileSystem())
        except (pa.ArrowException, OSError) as error:
            raise BadInputError(f"{path} can't be fetched: {reason(error)}; check the address and the access") from None
        if not Path(folder, source.name).is_file():
            raise BadInputError(f"no checkpoint file at {path}: check the address")
        try:
            yield Path(folder, source.name)
        except BadInputError as error:
            if folder not in str(error):
                raise
            address = path.partition("?")[0].rpartition("/")[0]
            raise BadInputError(f"in {address}: {str(error).replace(f'{folder}/', '')}") from error
