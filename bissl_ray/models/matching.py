"""Loads weights into a backbone strictly, and explains a mismatch in one line."""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from bissl_ray.errors import BadInputError
from bissl_ray.models.backbones import backbone_names, build_backbone
from bissl_ray.models.base import Backbone


def load_backbone(backbone: Backbone, state: Mapping[str, Tensor], source: str) -> None:
    """Copy a state dict into a backbone; every key and every shape must match.

    One lenience: `num_batches_tracked`, a counter that files from before torch 0.4.1 lack and that
    nothing here reads, may be missing and then keeps its value.

    Args:
        backbone: receives the weights, in place.
        state: tensors by parameter name, as `load_checkpoint(...).backbone` returns them.
        source: where they came from, for the error line.

    Raises:
        BadInputError: names, counts or shapes differ from the backbone's architecture. The backbone
            is then unchanged.
    """
    expected = backbone.state_dict()
    missing = [key for key in _weights(expected) if key not in state]
    unexpected = [key for key in state if key not in expected]
    shared = [key for key in state if key in expected]
    misshapen = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(expected[key].shape)}"
        for key in shared
        if state[key].shape != expected[key].shape
    ]
    if missing or unexpected or misshapen:
        found = architecture_of(state)
        advice = f"it looks like {found}: set backbone to {found}" if found else "give a file of this architecture"
        raise BadInputError(
            f"{source} does not fit the backbone {backbone.architecture}: "
            f"{len(shared) - len(misshapen)} of its {len(expected)} tensors match, "
            f"{_examples(len(missing), 'missing', missing)}, "
            f"{_examples(len(unexpected), 'unexpected', unexpected)}, "
            f"{_examples(len(misshapen), 'of another shape', misshapen)}; {advice}"
        )
    backbone.load_state_dict({**expected, **state})


def architecture_of(state: Mapping[str, Tensor]) -> str | None:
    """The known architecture whose names and shapes these are, or None."""
    for name in backbone_names():
        with torch.device("meta"):
            candidate = build_backbone(name).state_dict()
        if all(key in candidate for key in state) and all(
            key in state and state[key].shape == candidate[key].shape for key in _weights(candidate)
        ):
            return name
    return None


def _weights(state: Mapping[str, Tensor]) -> list[str]:
    return [key for key in state if not key.endswith("num_batches_tracked")]


def _examples(count: int, what: str, keys: Collection[str]) -> str:
    named = f" ({', '.join(list(keys)[:2])}{', ...' if count > 2 else ''})" if count else ""
    return f"{count} {what}{named}"
