"""From the name that a trial gives to its pretext task."""

from pkgutil import resolve_name

from bissl_ray.config.names import PRETEXTS
from bissl_ray.config.settings import Settings
from bissl_ray.models import Backbone
from bissl_ray.plugins import load_plugins
from bissl_ray.pretext.base import PretextTask


def pretext_names() -> list[str]:
    """Every pretext task that `build_pretext` knows."""
    load_plugins()
    return list(PRETEXTS)


def pretext_task(name: str) -> type[PretextTask]:
    """The class of a pretext task, by a name that `Settings.pretext` can have."""
    task: type[PretextTask] = resolve_name(PRETEXTS[name])
    return task


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
    return pretext_task(settings.pretext).from_settings(settings, backbone).to(device=like.device, dtype=like.dtype)
