"""Learning-rate schedule: linear warm-up, then cosine."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class WarmupCosine:
    """Factor on the peak learning rate, a pure function of the step: resuming needs only its number.

    Args:
        total_steps: length of the whole schedule, at least 1.
        warmup_steps: how many of them rise linearly, at least 0; with as many as `total_steps` or more the
            rise is all there is.

    Raises:
        ValueError: a length out of range.
    """

    total_steps: int
    warmup_steps: int

    def __post_init__(self) -> None:
        if self.total_steps < 1:
            raise ValueError(f"total_steps is {self.total_steps}: a schedule has at least 1 step")
        if self.warmup_steps < 0:
            raise ValueError(f"warmup_steps is {self.warmup_steps}: expected 0 (no warm-up) or more")

    def factor(self, step: int) -> float:
        """Factor in [0, 1] at a step counted from 0.

        The first warm-up step is at 1 / warmup_steps, not at 0: a step at 0 would be lost. The cosine starts
        at 1 on the first step after warm-up and would reach 0 at `total_steps`; later steps stay there.
        """
        if step < 0:
            raise ValueError(f"step is {step}: steps are counted from 0")
        if step >= self.total_steps:
            return 0.0
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        progress = (step - self.warmup_steps) / (self.total_steps - self.warmup_steps)
        return 0.5 * (1.0 + math.cos(math.pi * progress))
