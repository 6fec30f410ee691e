"""The document of a sweep, sweeps/<name>/sweep.json: what was asked for, as JSON."""

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from pyarrow.fs import FileSelector, FileType

from bissl_ray.errors import BadInputError, nearest
from bissl_ray.store.filesystem import atomic_write, open_storage
from bissl_ray.store.layout import check_name


def write_sweep_document(storage: str | Path, name: str, document: Mapping[str, Any]) -> None:
    """Write the document of a sweep, whole; an earlier one is replaced.

    Args:
        storage: a local path or a URI that pyarrow knows.
        name: the sweep.
        document: anything that JSON can hold.

    Raises:
        BadInputError: the name can't be used.
        OSError: the storage refused.
    """
    filesystem, base = open_storage(storage)
    folder = f"{base}/sweeps/{check_name('sweep', name)}"
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    filesystem.create_dir(folder, recursive=True)
    atomic_write(filesystem, f"{folder}/sweep.json", text.encode())


def read_sweep_document(storage: str | Path, name: str) -> dict[str, Any]:
    """Read the document of a sweep.

    Raises:
        BadInputError: there is no such sweep (the line names the nearest), or its document is damaged.
    """
    filesystem, base = open_storage(storage)
    names = sweep_names(storage)
    if name not in names:
        known = f"it holds {', '.join(names)}" if names else "it holds no sweep yet; start one with `bissl-ray sweep`"
        raise BadInputError(f"no sweep {name!r} in {storage}: {known}{nearest(name, names)}")
    path = f"{base}/sweeps/{name}/sweep.json"
    try:
        with filesystem.open_input_file(path) as source:
            document = json.loads(source.read())
    except ValueError as error:
        raise BadInputError(f"{path} is not JSON ({error}); restore it, or start the sweep anew") from None
    if not isinstance(document, dict):
        raise BadInputError(f"{path} holds {type(document).__name__}, an object was expected; restore it")
    return document


def sweep_names(storage: str | Path) -> list[str]:
    """List the sweeps that have a document, by name."""
    filesystem, base = open_storage(storage)
    infos = filesystem.get_file_info(FileSelector(f"{base}/sweeps", allow_not_found=True))
    folders = [info.path for info in infos if info.type == FileType.Directory]
    documents = filesystem.get_file_info([f"{folder}/sweep.json" for folder in folders])
    return sorted(PurePosixPath(info.path).parent.name for info in documents if info.type == FileType.File)
