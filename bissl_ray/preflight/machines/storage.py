"""Whether what one machine writes into the storage every other reads: each leaves a mark there, and looks for all."""

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from pyarrow.fs import FileSystem

from bissl_ray.errors import BadInputError
from bissl_ray.preflight.machines.ask import Asked, ThisMachine
from bissl_ray.preflight.machines.checks import Check, Verdict, parted, some
from bissl_ray.store.filesystem import atomic_write, listed, missing_folders, open_storage
from bissl_ray.world import world

_LOOKS: Final = 10
_PAUSE_S: Final = 0.5
"""A folder on the network may show a new file late."""


def check_shared(storage: str, asked: Asked) -> Check:
    """Whether all of them reach one storage, and so does the driver."""
    try:
        wrong = _unshared(storage, asked)
    except BadInputError as error:
        return Check("storage", Verdict.FAILURE, *parted(str(error)))
    if wrong:
        remedy = (
            "give a --storage that is the same for all of them and can be written: a folder on a network disk, at the "
            "same path everywhere, or s3://, gs://, with credentials on every machine"
        )
        return Check("storage", Verdict.FAILURE, f"{storage}: {some(wrong)}", remedy)
    if isinstance(asked, ThisMachine):
        return Check("storage", Verdict.OK, f"{storage}: written and read")
    each = "each machine" if len(asked.names) > 1 else "the machine"
    return Check("storage", Verdict.OK, f"{storage}: what {each} writes, every other and the driver read")


def _unshared(storage: str, asked: Asked) -> list[str]:
    """Try it on every machine, and here; nothing is left behind.

    Args:
        storage: absolute.
        asked: the machines.

    Returns:
        What is wrong, in a line for each thing; none: all of them reach the same storage.

    Raises:
        BadInputError: there can't be such a storage.
    """
    open_storage(storage)
    everyone: list[Asked] = [asked] if isinstance(asked, ThisMachine) else [ThisMachine("the driver"), asked]
    folder = f".doctor-{world().token()}"
    try:
        left = [answer for each in everyone for answer in each.ask(_leave_mark, storage, folder)]
        names = {answer.value: answer.machine for answer in left if answer.value is not None}
        looked = [answer for each in everyone for answer in each.ask(_marks_missing, storage, folder, list(names))]
    finally:
        for each in everyone:
            each.ask(_remove_marks, storage, folder)
    unable = {answer.machine: f"can't write there: {answer.failure}" for answer in left if answer.failure}
    for answer in looked:
        if answer.failure:
            unable.setdefault(answer.machine, f"can't read there: {answer.failure}")
    seen: dict[frozenset[str], list[str]] = {}
    for answer in looked:
        if answer.value is not None and answer.machine not in unable:
            seen.setdefault(frozenset(answer.value), []).append(answer.machine)
    wrong = [f"{machine} {why}" for machine, why in unable.items()]
    if len(seen) > 1:
        first, *others = sorted(seen.values(), key=len, reverse=True)
        apart = [f"{', '.join(each)} {'sees' if len(each) == 1 else 'see'} another folder" for each in others]
        wrong.append(f"{some(apart)} there than {', '.join(first)}")
    return wrong


def _leave_mark(storage: str, folder: str) -> str:
    """Write one, which lists the folders that were not there before, deepest first; its name (raises OSError)."""
    filesystem, base = open_storage(storage)
    made, name = missing_folders(filesystem, base), world().token()
    filesystem.create_dir(f"{base}/{folder}", recursive=True)
    atomic_write(filesystem, f"{base}/{folder}/{name}", "\n".join(map(str, made)).encode())
    return name


def _marks_missing(storage: str, folder: str, names: Sequence[str]) -> list[str]:
    """Those that can't be read here (raises OSError: the storage can't be)."""
    filesystem, base = open_storage(storage)
    missing = list(names)
    for _ in range(_LOOKS):
        missing = [name for name in missing if _made_by(filesystem, f"{base}/{folder}/{name}") is None]
        if not missing:
            break
        time.sleep(_PAUSE_S)
    return missing


def _made_by(filesystem: FileSystem, path: str) -> list[str] | None:
    """The folders that a mark lists; None: it is not there."""
    try:
        with filesystem.open_input_stream(path) as stream:
            return [line for line in stream.read().decode().splitlines() if line]
    except FileNotFoundError:
        return None


def _remove_marks(storage: str, folder: str) -> None:
    """Remove those that are seen here, and the folders that they list."""
    filesystem, base = open_storage(storage)
    marks = [file.path for file in listed(filesystem, f"{base}/{folder}")]
    made = max((_made_by(filesystem, path) or [] for path in marks), key=len, default=[])
    with suppress(OSError):
        filesystem.delete_dir(f"{base}/{folder}")
    for each in made:
        with suppress(OSError):  # somebody else has begun to write there
            Path(each).rmdir()
