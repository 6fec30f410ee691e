"""The most memory that a trial has held at a time, on its device or, on CPUs, in its process (issue 17)."""

from contextlib import suppress
from pathlib import Path
from typing import Final

import torch

_FORGET_PEAK: Final = "5"
"""What /proc/self/clear_refs takes to set VmHWM back to what is held now (Linux 4.0 and later)."""


class PeakMemory:
    """Counts from when it is made; a worker that runs many trials makes one for each."""

    def __init__(self, device: torch.device, process: Path = Path("/proc/self")) -> None:
        """Begin.

        Args:
            device: of the trial; of a GPU its tensors count, of CPUs all that the process holds, libraries included.
            process: where Linux tells of this process.
        """
        self._device, self._process = device, process
        self._counts = True
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            return
        try:
            (process / "clear_refs").write_text(_FORGET_PEAK)
        except OSError:
            # Else it would be that of the largest trial that this process has ever run.
            self._counts = False

    @property
    def bytes(self) -> int | None:
        """Most bytes held at a time since; None where the system does not say."""
        if self._device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self._device))
        if self._counts:
            with suppress(OSError, StopIteration, ValueError, IndexError):
                lines = (self._process / "status").read_text().splitlines()
                return 1024 * int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])
        return None
