"""The backbones that a trial can name, and how one is built."""

from bissl_ray.config.backbones import BACKBONES, CONVNEXTS, RESNETS, TIMM, VITS, check_backbone, wrong_image_size
from bissl_ray.config.refusal import RuleError
from bissl_ray.errors import BadInputError
from bissl_ray.models.base import Backbone
from bissl_ray.models.convnets import ConvNeXt, ResNet, SmallConv
from bissl_ray.models.convolution import convert_convolutions
from bissl_ray.models.timm_backbone import TimmBackbone
from bissl_ray.models.vit import VisionTransformer
from bissl_ray.parallel import BatchNormMode, convert_batch_norm

_PUBLISHED_SIZE = 224


def backbone_names() -> list[str]:
    """Every architecture that `build_backbone` knows, but for timm/NAME."""
    return list(BACKBONES)


def build_backbone(
    name: str, batch_norm: BatchNormMode = "synchronised", image_size: int = _PUBLISHED_SIZE
) -> Backbone:
    """Build a backbone with fresh weights, drawn from torch's global generator.

    Nothing in it is random while it runs: dropout and stochastic depth are off.

    Args:
        name: one of `backbone_names()`, or timm/NAME.
        batch_norm: whether batch statistics span all workers; without effect on a backbone that has none.
        image_size: side of its images in pixels; transformers have a positional embedding for it.

    Returns:
        A module from normalised images (N, 3, H, W) to features (N, feature_dim).

    Raises:
        BadInputError: no backbone has that name, or it can't take such images.
    """
    try:
        check_backbone(name)
    except RuleError as error:
        raise BadInputError(f"unknown backbone {name!r}: {error}") from None
    expected = wrong_image_size(image_size, name)
    if expected is not None:
        raise BadInputError(f"image_size is {image_size} with backbone {name}; expected {expected}")
    backbone = _build(name, batch_norm, image_size)
    convert_batch_norm(backbone, batch_norm)
    convert_convolutions(backbone)
    return backbone


def _build(name: str, batch_norm: BatchNormMode, image_size: int) -> Backbone:
    if name.startswith(TIMM):
        return TimmBackbone(name, image_size, batch_norm)
    if name in RESNETS:
        return ResNet(name)
    if name in VITS:
        return VisionTransformer(name, image_size)
    return ConvNeXt(name) if name in CONVNEXTS else SmallConv()
