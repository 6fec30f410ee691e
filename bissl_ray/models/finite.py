"""Refuses weights of a training that diverged."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from bissl_ray.errors import BadInputError

_EXAMPLES = 3


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
