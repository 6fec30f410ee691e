"""What is refused of a model before anything starts: no second derivative, numbers that are none."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from bissl_ray.config.names import TIMM
from bissl_ray.errors import BadInputError
from bissl_ray.models.backbones import build_backbone

_EXAMPLES = 3


def check_twice_differentiable(name: str, image_size: int) -> None:
    """Refuse a backbone that can't take images of a size, or of which no curvature can be taken.

    timm's hundreds of models are tried, on tensors that have a shape but no memory: building the graph of the second
    derivative fails where an operation has none. Of the others it is known, and nothing is built.

    Args:
        name: as of `build_backbone`.
        image_size: pixels.

    Raises:
        BadInputError: with the reason.
    """
    if not name.startswith(TIMM):
        return
    with torch.device("meta"):
        backbone = build_backbone(name, "per_worker", image_size)
        parameters = list(backbone.parameters())
        try:
            features = backbone(torch.empty(2, 3, image_size, image_size))
        except (RuntimeError, AssertionError, ValueError) as error:
            raise BadInputError(
                f"{name} can't take images of {image_size} pixels ({_first_line(error)}); change image_size"
            ) from None
        try:
            first = torch.autograd.grad(features.square().sum(), parameters, create_graph=True, allow_unused=True)
            squares = [part.square().sum() for part in first if part is not None]
            torch.autograd.grad(torch.stack(squares).sum(), parameters, allow_unused=True)
        except RuntimeError as error:
            raise BadInputError(
                f"{name} can't be differentiated twice ({_first_line(error)}); choose another backbone"
            ) from None
    if features.shape != (2, backbone.feature_dim):
        raise BadInputError(
            f"{name} gives features of shape {tuple(features.shape)}, expected (2, {backbone.feature_dim}): "
            "choose another backbone"
        )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def check_finite(state: Mapping[str, Tensor], source: str | Path) -> None:
    """Make sure that all numbers of a state dict are finite, as float32.

    Args:
        state: tensors by name; only those of floating point count.
        source: the file that they come from, for the error line.

    Raises:
        BadInputError: names the tensors with NaN or infinity.
    """
    floating = {name: tensor for name, tensor in state.items() if tensor.is_floating_point()}
    wrong = [name for name, tensor in floating.items() if not tensor.float().isfinite().all()]
    if wrong:
        raise BadInputError(
            f"{source} holds NaN or infinity in {len(wrong)} of its {len(floating)} tensors of numbers "
            f"({', '.join(wrong[:_EXAMPLES])}{', ...' if len(wrong) > _EXAMPLES else ''}): the training that wrote it "
            "has diverged; give one that was written earlier, or by another run"
        )
