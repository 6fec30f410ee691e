"""What was asked for, as JSON, with its provenance: a document for each sweep, stage run by itself, and comparison."""

import json
import platform
import shlex
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import Final, TypeVar

from pyarrow.fs import FileType
from pydantic import ValidationError

from bissl_ray.addresses import without_secrets
from bissl_ray.config.documents import ComparisonDocument, Document, StageDocument, SweepDocument
from bissl_ray.config.refusal import wrong_in
from bissl_ray.errors import BadInputError, nearest
from bissl_ray.store.filesystem import atomic_write, listed, open_storage
from bissl_ray.store.paths import REMOVED, check_name, stage_folder, sweep_names

D = TypeVar("D", bound=Document)
_PACKAGES: Final = ("bissl-ray", "torch", "torchvision", "ray", "optuna", "pyarrow", "numpy")
_ANOTHER_NAME: Final = "choose another --name"


def write_document(storage: str | Path, name: str, document: Document) -> None:
    """Write a document, whole; an earlier one is replaced.

    Args:
        storage: a local path or a URI that pyarrow knows.
        name: of the sweep, the stage run or the comparison.
        document: what to write.

    Raises:
        BadInputError: the name can't be used.
        OSError: the storage refused.
    """
    filesystem, base = open_storage(storage)
    path = f"{base}/{_path(type(document), name)}"
    text = json.dumps(document.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
    filesystem.create_dir(path.rpartition("/")[0], recursive=True)
    atomic_write(filesystem, path, text.encode())


def read_document(storage: str | Path, name: str, kind: type[D], half_removed: bool = False) -> D | None:
    """Read a document of a kind, None where there is nothing of that name.

    Args:
        storage: as of `write_document`.
        name: likewise.
        kind: of the document.
        half_removed: read it also where the removal of what it is about was cut off.

    Raises:
        BadInputError: the name can't be used; or the document is damaged, of a later release, or what it holds is not
            what it should be: one line that names the file and what is wrong in it; or what it is about is half
            removed.
    """
    filesystem, base = open_storage(storage)
    path = f"{base}/{_path(kind, name)}"
    there, marked = filesystem.get_file_info([path, f"{path.rpartition('/')[0]}/{REMOVED}"])
    if marked.type == FileType.File and not half_removed and kind is not ComparisonDocument:
        raise BadInputError(
            f"{path.rpartition('/')[0]} is half removed, and nothing can be done with it: finish that with "
            f"`bissl-ray rm {name}`"
        )
    if there.type != FileType.File:
        return None
    otherwise = "start the sweep anew" if kind is SweepDocument else _ANOTHER_NAME
    try:
        with filesystem.open_input_file(path) as source:
            content = json.loads(source.read())
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{path} is not JSON ({error}); restore it, or {otherwise}") from None
    if not isinstance(content, dict):
        raise BadInputError(f"{path} holds {type(content).__name__}, an object was expected; restore it")
    try:
        document = kind.from_any_version(content)
        for named in document.names:  # that stand in paths
            check_name("document's", named)
        return document
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}; restore it, or {otherwise}") from None
    except ValidationError as error:
        raise BadInputError(f"{path}: {wrong_in(error)}; restore it, or {otherwise}") from error
    except (KeyError, TypeError, AttributeError) as error:
        # Of a document of version 1, which is rearranged before it is checked.
        raise BadInputError(
            f"{path} is not one that a release of bissl-ray wrote ({' '.join(str(error).split())[:120]}); restore it, "
            f"or {otherwise}"
        ) from error


def read_sweep_document(storage: str | Path, name: str) -> SweepDocument:
    """Read the document of a sweep; as `read_document`.

    Raises:
        BadInputError: also where there is no such sweep; the line names the nearest.
    """
    names = sweep_names(storage)
    document = read_document(storage, name, SweepDocument) if name in names else None
    if document is None:
        known = f"it holds {', '.join(names)}" if names else "it holds no sweep yet; start one with `bissl-ray sweep`"
        raise BadInputError(f"no sweep {name!r} in {storage}: {known}{nearest(name, names)}")
    return document


def read_stage_document(storage: str | Path, name: str) -> StageDocument | None:
    """Read the document of a stage that was run by itself; as `read_document`.

    Raises:
        BadInputError: also where the folder of that name holds something else.
    """
    document = read_document(storage, name, StageDocument)
    if document is None:
        filesystem, base = open_storage(storage)
        folder = f"{base}/{stage_folder(name)}"
        there = listed(filesystem, folder)
        if there:
            raise BadInputError(
                f"{folder} holds {PurePosixPath(there[0].path).name} and no stage.json, so it is no stage's folder: "
                "choose another --name"
            )
    return document


def _path(kind: type[Document], name: str) -> str:
    check_name(kind.kind, name)
    if kind is ComparisonDocument:
        return f"comparisons/{name}.json"
    return f"{stage_folder(name)}/stage.json" if kind is StageDocument else f"sweeps/{name}/sweep.json"


@cache
def versions() -> str:
    """Versions of Python and of the packages that results depend on, as JSON."""
    found = {}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):  # a checkout that is on the path and not installed: its commit says which
            found[name] = version(name)
    return json.dumps({"python": platform.python_version(), **found})


@cache
def git_state() -> str | None:
    """The commit of the code that runs, with "-dirty" if it was changed since; None where there is no checkout."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None


def provenance() -> dict[str, str | None]:
    """Commit, versions and command line, as a document holds them."""
    command = shlex.join(["bissl-ray", *map(without_secrets, sys.argv[1:])])
    return {"git": git_state(), "versions": versions(), "command": command}


def now() -> str:
    """The time as a document holds it: ISO 8601, UTC."""
    return datetime.now(UTC).isoformat()
