"""Optimizers and schedules that torch lacks. Imports torch only."""

from bissl_ray.optim.lars import LARS, lower_parameter_groups
from bissl_ray.optim.schedule import WarmupCosine

__all__ = ["LARS", "WarmupCosine", "lower_parameter_groups"]
