"""The numbers that a BiSSL run is made of."""

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class BilevelHyperparameters:
    """Named as the settings of a trial; defaults are the paper's (arXiv 2410.02387), but for `cg_tolerance` (0 there).

    Attributes:
        alternations: length of the schedules, in alternations of `lower_steps`, then `upper_steps`.
        lower_warmup: warm-up of the lower learning rate, in alternations; the upper level has none.
        exclude_bias_and_norm: leave one-dimensional parameters out of LARS adaptation and lower weight decay.
        direct_weight: γ, weight of the upper loss at θ_D itself.
        proximity_weight: λ, one number, or one per parameter tensor of the backbone.
        damping: added to λ inside the linear solve only.
        solver: "cg", "layerwise_cg", "minres", "neumann", "nystrom" or "identity".
        cg_iterations: most iterations of a solve; 0 is the identity.
        cg_tolerance: relative residual at which a solve stops early; 0 never.
        recycled_products: products kept through an upper stage, to start the next solve from; 0 starts each at 0.
        clip_norm: largest gradient norm at both levels; None for no clipping.

    Raises:
        ValueError: a number out of range. What concerns the linear solve is checked by the trainer, as by `solve`.
    """

    alternations: int = 500
    lower_steps: int = 20
    lower_optimizer: Literal["lars", "sgd"] = "lars"
    lower_lr: float = 1.0
    lower_momentum: float = 0.9
    lower_weight_decay: float = 1e-6
    lower_warmup: int = 10
    exclude_bias_and_norm: bool = True
    upper_steps: int = 8
    upper_lr: float = 0.03
    upper_momentum: float = 0.9
    upper_weight_decay: float = 1e-3
    direct_weight: float = 1.0
    proximity_weight: float | tuple[float, ...] = 1e-3
    damping: float = 10.0
    solver: str = "cg"
    cg_iterations: int = 5
    cg_tolerance: float = 0.05
    recycled_products: int = 16
    clip_norm: float | None = 10.0

    def __post_init__(self) -> None:
        for name in ("alternations", "lower_steps", "upper_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: expected at least 1")
        if self.lower_optimizer not in ("lars", "sgd"):
            raise ValueError(f"lower_optimizer is {self.lower_optimizer!r}: expected 'lars' or 'sgd'")
        for name in ("lower_warmup", "recycled_products"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}: expected 0 or more")
        for name in ("lower_lr", "lower_weight_decay", "upper_lr", "upper_weight_decay", "direct_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}: expected 0 or more")
        for name in ("lower_momentum", "upper_momentum"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: expected 0 or more and less than 1")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise ValueError(f"clip_norm is {self.clip_norm}: expected more than 0, or None for no clipping")

    @property
    def solves(self) -> bool:
        """Whether linear systems are solved at all; else the first-order baseline, the identity."""
        return self.solver != "identity" and self.cg_iterations > 0
