"""The pretext tasks that a trial can name, and how one is built from its settings."""

from collections.abc import Callable

from bissl_ray.config.settings import Settings
from bissl_ray.models import Backbone
from bissl_ray.pretext.base import PretextTask
from bissl_ray.pretext.byol import BYOL
from bissl_ray.pretext.simclr import SimCLR


def _simclr(settings: Settings, backbone: Backbone) -> PretextTask:
    return SimCLR(
        backbone.feature_dim,
        settings.projector_width,
        settings.projector_output,
        settings.temperature,
        settings.batch_norm,
    )


def _byol(settings: Settings, backbone: Backbone) -> PretextTask:
    return BYOL(
        backbone,
        settings.projector_width,
        settings.projector_output,
        settings.target_momentum,
        settings.batch_norm,
    )


_BUILDERS: dict[str, Callable[[Settings, Backbone], PretextTask]] = {"simclr": _simclr, "byol": _byol}


def pretext_names() -> list[str]:
    """Every pretext task that `build_pretext` knows."""
    return list(_BUILDERS)


def build_pretext(settings: Settings, backbone: Backbone) -> PretextTask:
    """Build the pretext task of a trial with a fresh head, drawn from torch's global generator.

    Call it when the backbone has its weights: BYOL's target starts as the backbone's copy.

    Args:
        settings: pretext, projector_width, projector_output, temperature, target_momentum and
            batch_norm are read.
        backbone: the lower-level backbone, on any device.

    Returns:
        The task, on the backbone's device and in its dtype.
    """
    like = next(backbone.parameters())
    return _BUILDERS[settings.pretext](settings, backbone).to(device=like.device, dtype=like.dtype)
