"""All that lies in a storage, by what it is; one listing."""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from pyarrow.fs import FileSystem, FileType

from bissl_ray.store.filesystem import is_aside, listed
from bissl_ray.store.lock import is_claim, owner_of

_PROBE: Final = re.compile(r"\.probe-[0-9a-f]{32}")
_MARKS: Final = re.compile(r"\.doctor-[0-9a-f]{32}")
"""Of `preflight.machines`, which looks whether machines share a storage."""
"""A file that a storage was tried with."""
_RAY: Final = "ray"
SHARED: Final = ""
"""The folder that files of no sweep and no stage belong to."""


@dataclass
class Inventory:
    """Paths relative to the storage.

    Attributes:
        sweeps: names of sweeps that have rows, a document or files.
        datasets: of the rows of each, by its name.
        stages: names of stages that ran by themselves.
        comparisons: names of comparisons.
        documents: of all of them.
        sizes: every file, and how many bytes it has.
        models: files of tensors, likewise.
        claims: by the folder that they are on, without the marks that they are void.
        aside: left over from writing, by the folder that they belong to: "sweeps/NAME", "stages/NAME", or `SHARED`.
        held: folders of holders, likewise, each with the claim that it belongs to.
        ray: Ray's own folders, likewise, and a doctor's.
    """

    sweeps: set[str] = field(default_factory=set)
    datasets: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    stages: set[str] = field(default_factory=set)
    comparisons: set[str] = field(default_factory=set)
    documents: set[str] = field(default_factory=set)
    sizes: dict[str, int] = field(default_factory=dict)
    models: dict[str, int] = field(default_factory=dict)
    claims: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    aside: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    held: defaultdict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    ray: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    @property
    def folders(self) -> list[str]:
        """Those of sweeps and stages."""
        named = {"sweeps": self.sweeps, "stages": self.stages}
        return [f"{kind}/{name}" for kind, names in named.items() for name in sorted(names)]


def take_inventory(filesystem: FileSystem, base: str) -> Inventory:
    """Look at the name of everything below a storage (raises OSError: it refuses)."""
    found = Inventory()
    for info in listed(filesystem, base, recursive=True):
        path = PurePosixPath(below(base, info.path))
        _enter(found, path, info.type == FileType.Directory, info.size or 0)
    return found


def below(base: str, path: str) -> str:
    """A path relative to the storage."""
    return path.removeprefix(base).lstrip("/")


def _enter(found: Inventory, path: PurePosixPath, is_folder: bool, size: int) -> None:
    parts, name = path.parts, path.name
    if not is_folder:
        found.sizes[str(path)] = size
    if _MARKS.fullmatch(parts[0]):
        found.ray[SHARED].add(parts[0])
        return
    folder = _folder_of(parts)
    if folder.startswith("sweeps/"):
        found.sweeps.add(folder.removeprefix("sweeps/"))
    elif folder.startswith("stages/"):
        found.stages.add(folder.removeprefix("stages/"))
    if parts[0] == "results" and len(parts) > 2:
        found.datasets[parts[2].partition("=")[2]].add(parts[1].partition("=")[2])
    if len(parts) > 2 and folder != SHARED and parts[0] != "results":
        if parts[2] == _RAY:
            found.ray[folder].add("/".join(parts[:3]))
            return
        if (owner := owner_of(parts[2])) is not None:
            found.held[folder]["/".join(parts[:3])] = f"{folder}/{owner}"
            return
    if is_folder:
        return
    if is_aside(name) or _PROBE.fullmatch(name):
        found.aside[folder].add(str(path))
    elif len(parts) == 3 and folder != SHARED and is_claim(name):
        found.claims[folder].add(str(path).removesuffix(".void"))
    elif str(path) in (f"{folder}/sweep.json", f"{folder}/stage.json"):
        found.documents.add(str(path))
    elif parts[0] == "comparisons" and len(parts) == 2 and name.endswith(".json"):
        found.comparisons.add(name.removesuffix(".json"))
        found.documents.add(str(path))
    elif name.endswith(".pt") and parts[0] in ("sweeps", "stages", "pretrained"):
        found.models[str(path)] = size


def _folder_of(parts: tuple[str, ...]) -> str:
    """The folder whose holder writes there."""
    if parts[0] in ("sweeps", "stages") and len(parts) > 1:
        return f"{parts[0]}/{parts[1]}"
    if parts[0] == "results" and len(parts) > 2 and parts[2].startswith("sweep="):
        return f"sweeps/{parts[2].removeprefix('sweep=')}"
    return SHARED
