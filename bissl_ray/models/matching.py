"""Loads weights into a backbone, strictly unless told otherwise, and says what came of it."""

from collections.abc import Mapping
from functools import cache

import torch
from torch import Tensor

from bissl_ray.config.names import VITS
from bissl_ray.errors import BadInputError
from bissl_ray.models.advice import COUNTER, advice_on, without_what_stands_beside
from bissl_ray.models.backbones import backbone_names, build_backbone
from bissl_ray.models.base import Backbone
from bissl_ray.models.load_report import LoadReport
from bissl_ray.models.odd_tensors import shape_of
from bissl_ray.models.timm_keys import from_timm_keys
from bissl_ray.models.vit import POSITIONS, fitted_positions, side

_EXAMPLES = 3
_HEADS = (
    "fc.",
    "head.",
    "head_dist.",
    "heads.",
    "classifier.",
    "projector.",
    "projection_head.",
    "predictor.",
    "prediction_head.",
    "prototypes.",
)
"""How names of tensors begin that are no part of a backbone: classification layers and heads of pretext tasks."""


def load_backbone(
    backbone: Backbone, state: Mapping[str, Tensor], source: str, allow_partial: bool = False
) -> LoadReport:
    """Copy a state dict into a backbone; every name and every shape must match.

    Names may be the backbone's own or timm's. A transformer's positional embedding for another image size is
    interpolated. Classification layers and pretext heads are left out. `num_batches_tracked`, a counter that files from
    before torch 0.4.1 lack and that nothing here reads, may be missing and then keeps its value.

    Args:
        backbone: receives the weights, in place.
        state: tensors by parameter name, as `load_checkpoint(...).backbone` returns them.
        source: where they came from, for the error line and the report.
        allow_partial: take what matches in name and shape, if anything does; the rest keeps its weights.

    Returns:
        What matched, and what did not.

    Raises:
        BadInputError: names, counts or shapes differ from the backbone's architecture. The backbone
            is then unchanged.
    """
    expected = backbone.state_dict()
    found, report = _compare(backbone.architecture, expected, state, source)
    if not report.complete and not (allow_partial and report.matched):
        if report.numberless:
            number, examples = len(report.numberless), report.numberless[:_EXAMPLES]
            raise BadInputError(
                f"{source} holds no floating-point numbers in {number} of the {report.expected} tensors of "
                f"{backbone.architecture} ({', '.join(examples)}{', ...' if number > _EXAMPLES else ''}): quantised "
                "weights, or masks, can't be trained; give the weights as they were before"
            )
        looks_like = architecture_of(state)
        advice = advice_on(report, expected, state, looks_like)
        raise BadInputError(f"{source} does not fit the backbone {backbone.architecture}: {report.counts}; {advice}")
    backbone.load_state_dict({**expected, **found})
    return report


def architecture_of(state: Mapping[str, Tensor]) -> str | None:
    """The known architecture whose names and shapes these are, for images of whatever size; or None."""
    for name in backbone_names():
        if _compare(name, _without_numbers(name), state, "")[1].complete:
            return name
    return None


@cache
def _without_numbers(name: str) -> Mapping[str, Tensor]:
    """What an architecture has, by names and shapes alone."""
    with torch.device("meta"):
        return build_backbone(name, image_size=_a_size_for(name)).state_dict()


def _compare(
    architecture: str, expected: Mapping[str, Tensor], state: Mapping[str, Tensor], source: str
) -> tuple[dict[str, Tensor], LoadReport]:
    """What of a state fits a backbone, under the backbone's names, and the report on all of it."""
    renamed = from_timm_keys(expected, architecture, state)
    heads = [key for key in renamed if key not in expected and key.startswith(_HEADS)]
    candidates = {key: tensor for key, tensor in renamed.items() if key not in heads}
    notes = _fit_positions(expected, candidates)
    shared = [key for key in candidates if key in expected]
    numberless = [key for key in shared if expected[key].is_floating_point() > candidates[key].is_floating_point()]
    misshapen = [key for key in shared if _form(candidates[key]) != _form(expected[key])]
    found = {key: candidates[key] for key in shared if key not in (*numberless, *misshapen)}
    report = LoadReport(
        source=source,
        architecture=architecture,
        matched=sum(not key.endswith(COUNTER) for key in found),
        expected=sum(not key.endswith(COUNTER) for key in expected),
        missing=tuple(key for key in expected if key not in candidates and not key.endswith(COUNTER)),
        unexpected=tuple(key for key in candidates if key not in expected),
        misshapen=tuple(f"{key} {_form(candidates[key])} instead of {_form(expected[key])}" for key in misshapen),
        heads=len(heads),
        numberless=tuple(f"{key} of {str(candidates[key].dtype).removeprefix('torch.')}" for key in numberless),
        notes=notes,
    )
    return found, without_what_stands_beside(report, expected)


def _form(tensor: Tensor) -> str:
    """Shape and, where it is not that of weights, type: whole numbers in their place are quantised weights."""
    shape = shape_of(tensor)
    whole = not tensor.is_floating_point()
    return shape if not whole or tensor.numel() == 1 else f"{shape} of {str(tensor.dtype).removeprefix('torch.')}"


def _fit_positions(expected: Mapping[str, Tensor], candidates: dict[str, Tensor]) -> tuple[str, ...]:
    """Interpolate a positional embedding where its size differs, in place; say so."""
    for key in POSITIONS:
        if key not in expected or key not in candidates or candidates[key].shape == expected[key].shape:
            continue
        old, tokens = candidates[key], expected[key].shape[1]
        fitted = fitted_positions(old, tokens)
        if fitted is None or fitted.shape != expected[key].shape:
            continue
        candidates[key] = fitted
        return (f"positional embedding interpolated from {_patches(old.shape[1])} to {_patches(tokens)} patches",)
    return ()


def _patches(tokens: int) -> str:
    count = next(count for count in range(tokens, 0, -1) if side(count))
    return f"{side(count)}x{side(count)}"


def _a_size_for(name: str) -> int:
    return 8 * VITS.get(name, 8)
