"""A trial's own checkpoint: how far it is and everything it needs to go on."""

import time
from typing import Any, Final

from bissl_ray.training.files import read_tensors, remove_file, write_tensors

_WRITING_SHARE: Final = 0.05
"""A trial's checkpoints may take this share of its time: a slow disk is written to less often."""
_FILE: Final = "progress.pt"


def progress_file(folder: str) -> str:
    """Where a trial or a stage keeps it, relative to the storage as its folder is."""
    return f"{folder}/{_FILE}"


class SavedProgress:
    """Written between steps, never more often than keeps writing under 5% of the time.

    So a crash or Ctrl-C costs a trial a moment, and nothing needs to be saved on the way out.
    """

    def __init__(self, storage: str, folder: str) -> None:
        self._storage = storage
        self._path = progress_file(folder)
        self._last_end = time.monotonic()
        self._last_cost = 0.0

    def load(self) -> dict[str, Any] | None:
        """The last saved content, or None for a trial that has not saved any."""
        return read_tensors(self._storage, self._path)

    @property
    def due(self) -> bool:
        """Whether writing again now would stay within its share of the time."""
        return (time.monotonic() - self._last_end) * _WRITING_SHARE >= self._last_cost

    def save(self, content: dict[str, Any]) -> None:
        """Write now."""
        begin = time.monotonic()
        write_tensors(self._storage, self._path, content)
        self._last_end = time.monotonic()
        self._last_cost = self._last_end - begin

    def clear(self) -> None:
        """Remove it: the trial is over."""
        remove_file(self._storage, self._path)
