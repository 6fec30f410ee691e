"""Optimizers and schedules that torch lacks, and steps from gradients computed by hand. Imports torch only."""

from bissl_ray.optim.lars import LARS, lower_parameter_groups
from bissl_ray.optim.schedule import WarmupCosine
from bissl_ray.optim.stepper import Stepper, StepperState

__all__ = ["LARS", "Stepper", "StepperState", "WarmupCosine", "lower_parameter_groups"]
