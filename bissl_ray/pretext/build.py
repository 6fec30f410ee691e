"""The pretext tasks that a trial can name."""

from bissl_ray.config.settings import Settings
from bissl_ray.models import Backbone
from bissl_ray.pretext.barlow_twins import BarlowTwins
from bissl_ray.pretext.base import PretextTask
from bissl_ray.pretext.byol import BYOL
from bissl_ray.pretext.simclr import SimCLR
from bissl_ray.pretext.simsiam import SimSiam
from bissl_ray.pretext.vicreg import VICReg

# The same names as those of `Settings.pretext`, which must not import torch.
_TASKS: dict[str, type[PretextTask]] = {
    "simclr": SimCLR,
    "byol": BYOL,
    "vicreg": VICReg,
    "barlow_twins": BarlowTwins,
    "simsiam": SimSiam,
}


def pretext_names() -> list[str]:
    """Every pretext task that `build_pretext` knows."""
    return list(_TASKS)


def build_pretext(settings: Settings, backbone: Backbone) -> PretextTask:
    """Build the pretext task of a trial with a fresh head, drawn from torch's global generator.

    Call it when the backbone has its weights: BYOL's target starts as the backbone's copy.

    Args:
        settings: `pretext` is read, and what the task's `from_settings` says.
        backbone: the lower-level backbone, on any device.

    Returns:
        The task, on the backbone's device and in its dtype.
    """
    like = next(backbone.parameters())
    return _TASKS[settings.pretext].from_settings(settings, backbone).to(device=like.device, dtype=like.dtype)
