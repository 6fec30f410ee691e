"""What was asked for, as JSON: a document for each sweep, each stage run by itself, each comparison."""

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from pyarrow.fs import FileSelector, FileType

from bissl_ray.errors import BadInputError, nearest
from bissl_ray.store.filesystem import atomic_write, open_storage
from bissl_ray.store.paths import check_name


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
    _write(storage, f"sweeps/{check_name('sweep', name)}/sweep.json", document)


def read_sweep_document(storage: str | Path, name: str) -> dict[str, Any]:
    """Read the document of a sweep.

    Raises:
        BadInputError: there is no such sweep (the line names the nearest), or its document is damaged.
    """
    names = sweep_names(storage)
    if name not in names:
        known = f"it holds {', '.join(names)}" if names else "it holds no sweep yet; start one with `bissl-ray sweep`"
        raise BadInputError(f"no sweep {name!r} in {storage}: {known}{nearest(name, names)}")
    return _read(storage, f"sweeps/{name}/sweep.json", "start the sweep anew")


def sweep_names(storage: str | Path) -> list[str]:
    """List the sweeps that have a document, by name."""
    filesystem, base = open_storage(storage)
    infos = filesystem.get_file_info(FileSelector(f"{base}/sweeps", allow_not_found=True))
    folders = [info.path for info in infos if info.type == FileType.Directory]
    documents = filesystem.get_file_info([f"{folder}/sweep.json" for folder in folders])
    return sorted(PurePosixPath(info.path).parent.name for info in documents if info.type == FileType.File)


def write_stage_document(storage: str | Path, name: str, document: Mapping[str, Any]) -> None:
    """Write the document of a stage that is run by itself; as `write_sweep_document`."""
    _write(storage, f"stages/{check_name('stage run', name)}/stage.json", document)


def read_stage_document(storage: str | Path, name: str) -> dict[str, Any] | None:
    """Read the document of a stage that was run by itself, None where there is nothing of that name.

    Raises:
        BadInputError: the document is damaged, or the folder of that name holds something else.
    """
    filesystem, base = open_storage(storage)
    folder = f"{base}/stages/{name}"
    if filesystem.get_file_info(f"{folder}/stage.json").type == FileType.File:
        return _read(storage, f"stages/{name}/stage.json", "choose another --name")
    there = filesystem.get_file_info(FileSelector(folder, allow_not_found=True))
    if there:
        raise BadInputError(
            f"{folder} holds {PurePosixPath(there[0].path).name} and no stage.json, so it is no stage's folder: choose "
            "another --name"
        )
    return None


def write_comparison_document(storage: str | Path, name: str, document: Mapping[str, Any]) -> None:
    """Write the document of a comparison, which sweeps belong to it; as `write_sweep_document`."""
    _write(storage, f"comparisons/{check_name('comparison', name)}.json", document)


def read_comparison_document(storage: str | Path, name: str) -> dict[str, Any] | None:
    """Read the document of a comparison, None where there is none of that name.

    Raises:
        BadInputError: the name can't be used, or the document is damaged.
    """
    filesystem, base = open_storage(storage)
    path = f"comparisons/{check_name('comparison', name)}.json"
    if filesystem.get_file_info(f"{base}/{path}").type != FileType.File:
        return None
    return _read(storage, path, "choose another --name")


def _write(storage: str | Path, path: str, document: Mapping[str, Any]) -> None:
    filesystem, base = open_storage(storage)
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    filesystem.create_dir(f"{base}/{path}".rpartition("/")[0], recursive=True)
    atomic_write(filesystem, f"{base}/{path}", text.encode())


def _read(storage: str | Path, path: str, otherwise: str) -> dict[str, Any]:
    filesystem, base = open_storage(storage)
    try:
        with filesystem.open_input_file(f"{base}/{path}") as source:
            document = json.loads(source.read())
    except ValueError as error:
        raise BadInputError(f"{base}/{path} is not JSON ({error}); restore it, or {otherwise}") from None
    if not isinstance(document, dict):
        raise BadInputError(f"{base}/{path} holds {type(document).__name__}, an object was expected; restore it")
    return document
