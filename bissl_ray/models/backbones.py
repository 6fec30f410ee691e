"""The backbones that a trial can name, and how one is built."""

from collections.abc import Callable
from functools import partial

from bissl_ray.errors import BadInputError, nearest
from bissl_ray.models.base import Backbone
from bissl_ray.models.convolution import convert_convolutions
from bissl_ray.models.resnet import ResNet
from bissl_ray.models.smallconv import SmallConv
from bissl_ray.parallel import BatchNormMode, convert_batch_norm

_BUILDERS: dict[str, Callable[[], Backbone]] = {
    "resnet18": partial(ResNet, "resnet18"),
    "resnet50": partial(ResNet, "resnet50"),
    "smallconv": SmallConv,
}


def backbone_names() -> list[str]:
    """Every architecture that `build_backbone` knows."""
    return list(_BUILDERS)


def build_backbone(name: str, batch_norm: BatchNormMode = "synchronised") -> Backbone:
    """Build a backbone with fresh weights, drawn from torch's global generator.

    Args:
        name: one of `backbone_names()`.
        batch_norm: whether batch statistics span all workers.

    Returns:
        A module from normalised images (N, 3, H, W) to features (N, feature_dim).

    Raises:
        BadInputError: no backbone has that name.
    """
    if name not in _BUILDERS:
        raise BadInputError(
            f"unknown backbone {name!r}; expected one of {', '.join(_BUILDERS)}{nearest(name, _BUILDERS)}"
        )
    backbone = _BUILDERS[name]()
    convert_batch_norm(backbone, batch_norm)
    convert_convolutions(backbone)
    return backbone
