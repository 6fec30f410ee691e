"""Tensors in and out of the storage, whole or not at all."""

import io
from contextlib import suppress
from typing import Any

import torch
from pyarrow.fs import FileType

from bissl_ray.store.filesystem import atomic_write, open_storage


def write_tensors(storage: str, path: str, content: dict[str, Any]) -> None:
    """Write a mapping of tensors and plain values to `<storage>/<path>`; it appears whole."""
    filesystem, base = open_storage(storage)
    buffer = io.BytesIO()
    torch.save(content, buffer)
    target = f"{base}/{path}"
    filesystem.create_dir(target.rsplit("/", 1)[0], recursive=True)
    atomic_write(filesystem, target, buffer.getvalue())


def read_tensors(storage: str, path: str, device: torch.device | str = "cpu") -> dict[str, Any] | None:
    """Read what `write_tensors` wrote, or None if it is not there. Only tensors are unpickled."""
    if not exists(storage, path):
        return None
    filesystem, base = open_storage(storage)
    with filesystem.open_input_file(f"{base}/{path}") as stream:
        content = stream.read()
    loaded: dict[str, Any] = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
    return loaded


def exists(storage: str, path: str) -> bool:
    """Whether `<storage>/<path>` is a file."""
    filesystem, base = open_storage(storage)
    return bool(filesystem.get_file_info(f"{base}/{path}").type == FileType.File)


def remove_file(storage: str, path: str) -> None:
    """Remove `<storage>/<path>` if it is there."""
    if exists(storage, path):
        filesystem, base = open_storage(storage)
        filesystem.delete_file(f"{base}/{path}")


def remove_folder(storage: str, path: str) -> None:
    """Remove `<storage>/<path>` with all in it, as far as that is possible."""
    filesystem, base = open_storage(storage)
    with suppress(OSError):
        filesystem.delete_dir(f"{base}/{path}")
