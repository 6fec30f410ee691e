"""Rules that tie settings to each other, for the settings of one trial and for all that a space can propose."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

from bissl_ray.config.backbones import PARTS, part_weight, parts_of, wrong_image_size
from bissl_ray.config.refusal import shown


@dataclass(frozen=True)
class _Rule:
    """Some settings that must fit together.

    Attributes:
        reads: the settings; the first is the one to change.
        broken: what was expected and what to do next, or None; takes the values in the order of `reads`. Where it
            compares numbers, values between two that fit must fit as well: of a range, only the two ends are tried.
    """

    reads: tuple[str, ...]
    broken: Callable[..., str | None]


def broken_combination(possible: Mapping[str, Sequence[Any]]) -> tuple[tuple[str, ...], str] | None:
    """Find settings that don't fit together.

    Args:
        possible: the values that each setting can take; of a range, its two ends.

    Returns:
        The settings, the one to change first, and a message; None where everything fits.
    """
    for rule in _RULES:
        for values in product(*(possible[name] for name in rule.reads)):
            expected = rule.broken(*values)
            if expected is not None:
                pairs = zip(rule.reads, values, strict=True)
                first, *others = (f"{name} = {shown(value)}" for name, value in pairs if value is not None)
                return rule.reads, f"found {first} with {' and '.join(others)}, expected {expected}"
    return None


def _weight_of_missing_part(part: str, weight: float | None, backbone: str) -> str | None:
    if weight is None or part in parts_of(backbone):
        return None
    return f"weights for the parts of that backbone only: {', '.join(parts_of(backbone))}; leave this one out"


def _nothing_to_divide_by(part: str, damping: float, own: float | None, base: float, backbone: str) -> str | None:
    if part not in parts_of(backbone) or (base if own is None else own) + damping > 0:
        return None
    return f"more than 0 for damping and the proximity weight of {part} together: raise one of them"


def _more_than_the_lower_batch(curvature_batch: int | None, lower_batch: int) -> str | None:
    if curvature_batch is None or curvature_batch <= lower_batch:
        return None
    return f"at most {lower_batch}: the curvature is taken on images of a lower batch; lower one or raise the other"


def _parts_too_small(chunks: int, curvature_batch: int | None, lower_batch: int) -> str | None:
    images = lower_batch if curvature_batch is None else curvature_batch
    if images // chunks >= 2:
        return None
    return f"at most {images // 2} parts: each needs 2 images for its batch statistics; use fewer or a larger batch"


_RULES = (
    _Rule(("image_size", "backbone"), wrong_image_size),
    *(_Rule((part_weight(part), "backbone"), partial(_weight_of_missing_part, part)) for part in PARTS),
    *(
        _Rule(("damping", part_weight(part), "proximity_weight", "backbone"), partial(_nothing_to_divide_by, part))
        for part in PARTS
    ),
    _Rule(("curvature_batch", "lower_batch"), _more_than_the_lower_batch),
    _Rule(("curvature_chunks", "curvature_batch", "lower_batch"), _parts_too_small),
)
