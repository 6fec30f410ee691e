"""The backbones that a trial can name, and how one is built."""

from pkgutil import resolve_name

from bissl_ray.config.names import BACKBONES, check_backbone, facts_of, wrong_image_size
from bissl_ray.config.refusal import RuleError
from bissl_ray.errors import BadInputError
from bissl_ray.models.base import Backbone
from bissl_ray.models.convolution import convert_convolutions
from bissl_ray.parallel import BatchNormMode, convert_batch_norm
from bissl_ray.plugins import load_plugins

_PUBLISHED_SIZE = 224


def backbone_names() -> list[str]:
    """Every architecture that `build_backbone` knows, but for timm/NAME."""
    load_plugins()
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
    place: type[Backbone] = resolve_name(facts_of(name).place)
    backbone = place.build(name, image_size, batch_norm)
    convert_batch_norm(backbone, batch_norm)
    convert_convolutions(backbone)
    return backbone
