"""Files of tensors: whether they are as they were written, and whether those that rows name are there."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any, Final

from bissl_ray.preflight.doctor.findings import Finding, State
from bissl_ray.preflight.doctor.inventory import Inventory
from bissl_ray.preflight.doctor.rows import SweepRows
from bissl_ray.words import Status

_PROGRESS: Final = {"progress.pt": ("stage", "state", "models"), "inherited.pt": ("stage", "state", "models")}
_OPEN: Final = frozenset({Status.RUNNING, Status.PAUSED})


def look_at_models(
    storage: str, found: Inventory, rows: Iterable[SweepRows], opened: Callable[[int], None], quick: bool
) -> Iterator[Finding]:
    """Say which are damaged, missing or needless.

    Args:
        storage: absolute.
        found: all that is there.
        rows: of every sweep.
        opened: called with the bytes of each file that has been read.
        quick: open none.
    """
    of = {each.sweep: each for each in rows}
    for path, size in sorted(found.models.items()):
        why = None if quick or needless(path, of) else _wrong(storage, path)
        opened(size)
        if why is not None:
            yield Finding(State.DAMAGED, "models", path, why, _kept(path, of))
    for sweep in of.values():
        for name, row in sweep.trials.items():
            file = row["checkpoint"]
            if file is not None and file not in found.models:
                there = f"{sweep.sweep}/{name} names it, and it is not there"
                again = _made_anew(sweep.sweep, name)
                yield Finding(State.DAMAGED, "models", file, there, again)


def needless(path: str, of: dict[str, SweepRows]) -> bool:
    """Whether a file is of a trial that has ended, and holds only how far it was."""
    parts = PurePosixPath(path).parts
    if parts[-1] not in _PROGRESS or parts[0] != "sweeps" or len(parts) != 5:
        return False
    row = of[parts[1]].trials.get(parts[3]) if parts[1] in of else None
    return row is not None and row["status"] not in _OPEN


def _wrong(storage: str, path: str) -> str | None:
    from bissl_ray.training.files import read_tensors  # torch, which who only asks what is needless does without
    from bissl_ray.training.tensors import DamagedTensorsError

    try:
        content = read_tensors(storage, path)
    except DamagedTensorsError as error:
        return error.why
    wanted = _PROGRESS.get(PurePosixPath(path).name, ("backbone",))
    lacking = [name for name in wanted if content is not None and name not in content]
    return f"it has no {' and no '.join(lacking)}" if lacking else None


def _kept(path: str, of: dict[str, SweepRows]) -> str:
    parts = PurePosixPath(path).parts
    name = parts[-1]
    if parts[0] == "pretrained" or (parts[0] == "sweeps" and len(parts) == 3):
        return "delete it: whatever needs it makes it anew"
    if parts[0] == "stages":
        return "delete it, and run the stage again under another name"
    trial: dict[str, Any] | None = of[parts[1]].trials.get(parts[3]) if parts[1] in of and len(parts) > 3 else None
    if name == "progress.pt":
        return "resume runs its trial from the beginning"
    if name == "inherited.pt":
        return "a trial that has not begun fails for it"
    return "" if trial is None else f"the figures of its trial are in rows; {_made_anew(parts[1], parts[3])}"


def _made_anew(sweep: str, trial: str) -> str:
    return f"bissl-ray train --from-trial {sweep}/{trial} makes it anew, in a folder of its own"
