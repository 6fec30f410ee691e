"""What a check of a recording must leave as it was: buffers that forwards move, and random numbers."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Buffers = Callable[[], Sequence[Tensor]]


class Surroundings:
    """Buffers and random numbers at one moment.

    Args:
        buffers: those that a function may move; the same tensors whenever it is asked.
    """

    def __init__(self, buffers: Buffers) -> None:
        self._buffers = list(buffers())
        self.values = [buffer.clone() for buffer in self._buffers]
        self._random = torch.get_rng_state()
        self._of_device = torch.cuda.get_rng_state() if torch.cuda.is_available() else None

    def random_moved(self) -> bool:
        """Whether any random number was drawn since."""
        if not torch.equal(torch.get_rng_state(), self._random):
            return True
        return self._of_device is not None and not torch.equal(torch.cuda.get_rng_state(), self._of_device)

    @torch.no_grad()
    def put_back(self) -> None:
        """Make everything as it was then."""
        for buffer, value in zip(self._buffers, self.values, strict=True):
            buffer.copy_(value)
        torch.set_rng_state(self._random)
        if self._of_device is not None:
            torch.cuda.set_rng_state(self._of_device)
