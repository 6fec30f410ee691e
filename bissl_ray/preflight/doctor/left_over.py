"""What processes that ended in the middle left behind; and its removal, where nobody is at work."""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import replace

from pyarrow.fs import FileSystem, FileType

from bissl_ray.errors import BadInputError
from bissl_ray.preflight.doctor import claims, models
from bissl_ray.preflight.doctor.findings import Finding, State
from bissl_ray.preflight.doctor.inventory import SHARED, Inventory
from bissl_ray.preflight.doctor.rows import SweepRows
from bissl_ray.store.filesystem import delete_if_there
from bissl_ray.store.lock import Standing, locked


def look_for_left_over(
    found: Inventory, standing: Mapping[str, dict[str, Standing]], rows: dict[str, SweepRows]
) -> Iterator[tuple[str, Finding]]:
    """Say what nobody needs any more, each with the folder that it belongs to."""
    held = {folder for folder, each in standing.items() if claims.is_held(each)}
    for folder in (*found.folders, SHARED):
        if folder in held or (folder == SHARED and held):
            continue
        own = standing.get(folder, {})
        for path in sorted(found.aside[folder]):
            yield folder, Finding(State.LEFT_OVER, "file", path, "written aside, and never put in its place")
        for path, claim in sorted(found.held[folder].items()):
            if claim not in own or not own[claim].alive:
                yield folder, Finding(State.LEFT_OVER, "folder", path, "of who held it, and holds it no more")
        for path in sorted(found.ray[folder]):
            yield (
                folder,
                Finding(State.LEFT_OVER, "folder", path, "of Ray's own or a doctor's, of a run that was cut off"),
            )
        for path in sorted(found.models):
            if path.startswith(f"{folder}/") and models.needless(path, rows):
                yield folder, Finding(State.LEFT_OVER, "models", path, "how far a trial was that has ended since")


def remove(storage: str, filesystem: FileSystem, base: str, folder: str, left_over: list[Finding]) -> Iterator[Finding]:
    """Remove what belongs to a folder, while nobody else may work there; the findings, each with what became of it."""
    is_there = folder != SHARED and filesystem.get_file_info(f"{base}/{folder}").type == FileType.Directory
    what = folder.replace("sweeps/", "sweep ").replace("stages/", "stage ")
    try:
        with locked(storage, folder, what) if is_there else nullcontext():
            for finding in left_over:
                yield _removed(filesystem, base, finding)
    except BadInputError as error:  # somebody has begun to work there meanwhile
        yield from (replace(finding, kept=f"not removed: {error}") for finding in left_over)


def _removed(filesystem: FileSystem, base: str, finding: Finding) -> Finding:
    path = f"{base}/{finding.place}"
    try:
        if finding.what == "folder":
            with suppress(FileNotFoundError):
                filesystem.delete_dir(path)
        else:
            delete_if_there(filesystem, path)
            if finding.what == "claim":
                delete_if_there(filesystem, f"{path}.void")
    except OSError as error:
        return replace(finding, kept=f"can't be removed: {error}")
    return replace(finding, removed=True)
