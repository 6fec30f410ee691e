"""Tensors in and out of the storage, whole or not at all; and the checkpoint that a trial goes on from."""

import io
from contextlib import suppress
from typing import Any, Final

import torch
from pyarrow.fs import FileType

from bissl_ray.store.filesystem import atomic_write, delete_if_there, open_storage
from bissl_ray.store.paths import trial_folder
from bissl_ray.store.patience import Pauses
from bissl_ray.training.tensors import tensors_of
from bissl_ray.world import world

_WRITING_SHARE: Final = 0.05
"""A trial's checkpoints may take this share of its time: a slow disk is written to less often."""
_FILE: Final = "progress.pt"
_INHERITED: Final = "inherited.pt"


def write_tensors(storage: str, path: str, content: dict[str, Any]) -> None:
    """Write a mapping of tensors and plain values to `<storage>/<path>`; it appears whole."""
    filesystem, base = open_storage(storage)
    buffer = io.BytesIO()
    torch.save(content, buffer)
    target = f"{base}/{path}"
    filesystem.create_dir(target.rsplit("/", 1)[0], recursive=True)
    atomic_write(filesystem, target, buffer.getvalue())


def read_tensors(storage: str, path: str, device: torch.device | str = "cpu") -> dict[str, Any] | None:
    """Read what `write_tensors` wrote, or None if it is not there (raises DamagedTensorsError)."""
    if not exists(storage, path):
        return None
    filesystem, base = open_storage(storage)
    with filesystem.open_input_file(f"{base}/{path}") as stream:
        content = stream.read()
    return tensors_of(content, f"{storage}/{path}", device)


def exists(storage: str, path: str) -> bool:
    """Whether `<storage>/<path>` is a file."""
    filesystem, base = open_storage(storage)
    return bool(filesystem.get_file_info(f"{base}/{path}").type == FileType.File)


def remove_file(storage: str, path: str) -> None:
    """Remove `<storage>/<path>` if it is there."""
    filesystem, base = open_storage(storage)
    delete_if_there(filesystem, f"{base}/{path}")


def remove_folder(storage: str, path: str) -> None:
    """Remove `<storage>/<path>` with all in it, as far as that is possible."""
    filesystem, base = open_storage(storage)
    with suppress(OSError):
        filesystem.delete_dir(f"{base}/{path}")


def progress_file(folder: str) -> str:
    """Where a trial or a stage keeps it, relative to the storage as its folder is."""
    return f"{folder}/{_FILE}"


def inherited_file(folder: str) -> str:
    """Where a trial finds what another had come to that it takes over from, relative to the storage."""
    return f"{folder}/{_INHERITED}"


class HandedOver:
    """What trials of a sweep keep for others that take over from them (`search.population`)."""

    def __init__(self, storage: str, sweep: str) -> None:
        self._storage, self._sweep = storage, sweep
        self._refused: OSError | None = None
        self._next_try, self._pauses = 0.0, Pauses()

    def hand_over(self, donor: str, heir: str) -> None:
        """Copy where a paused trial is for another, which finds it when it begins.

        Raises:
            OSError: the storage refuses, or did a moment ago: it is not asked all the time.
        """
        if self._refused is not None and world().monotonic() < self._next_try:
            raise self._refused
        try:
            self._copy(donor, heir)
        except OSError as error:
            self._refused, self._next_try = error, world().monotonic() + self._pauses.longer()
            raise
        self._refused, self._pauses = None, Pauses()

    def _copy(self, donor: str, heir: str) -> None:
        filesystem, base = open_storage(self._storage)
        target = inherited_file(trial_folder(self._sweep, heir))
        filesystem.create_dir(f"{base}/{trial_folder(self._sweep, heir)}", recursive=True)
        filesystem.copy_file(f"{base}/{progress_file(trial_folder(self._sweep, donor))}", f"{base}/{target}")

    def has(self, heir: str) -> bool:
        """Whether there is such a copy."""
        return exists(self._storage, inherited_file(trial_folder(self._sweep, heir)))


class SavedProgress:
    """Written between steps, never more often than keeps writing under 5% of the time.

    So a crash or Ctrl-C costs a trial a moment, and nothing needs to be saved on the way out.
    """

    def __init__(self, storage: str, folder: str) -> None:
        self._storage = storage
        self._folder = folder
        self._path = progress_file(folder)
        self._last_end = world().monotonic()
        self._last_cost = 0.0

    def load(self) -> dict[str, Any] | None:
        """The last saved content, or None for a trial that has not saved any."""
        return read_tensors(self._storage, self._path)

    @property
    def due(self) -> bool:
        """Whether writing again now would stay within its share of the time."""
        return (world().monotonic() - self._last_end) * _WRITING_SHARE >= self._last_cost

    def save(self, content: dict[str, Any]) -> None:
        """Write now."""
        begin = world().monotonic()
        try:
            write_tensors(self._storage, self._path, content)
        finally:  # what a storage refuses has taken its time as well
            self._last_end = world().monotonic()
            self._last_cost = self._last_end - begin

    def clear(self) -> None:
        """Remove it, and what the trial began from: it is over."""
        remove_file(self._storage, self._path)
        remove_file(self._storage, inherited_file(self._folder))
