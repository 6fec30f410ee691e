"""Rules that tie settings to each other: for one trial, for all that a space can propose, for its known-good points."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

from bissl_ray.config.names import PARTS, facts_of, part_weight, parts_of, wrong_image_size
from bissl_ray.config.parameters import IntParameter, Parameter, SettingValue
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


def broken_combination(possible: Mapping[str, Sequence[SettingValue]]) -> tuple[tuple[str, ...], str] | None:
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


def _nothing_to_divide_by(
    part: str, damping: float, own: float | None, base: float, backbone: str, relative: float
) -> str | None:
    if part not in parts_of(backbone) or (base if own is None else own) + damping + relative > 0:
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


def _images_meet(lower_memory: str, backbone: str) -> str | None:
    if lower_memory != "chunks" or not facts_of(backbone).batch_norm:
        return None
    return "a backbone without batch normalisation, whose statistics are of a whole batch; use lower_memory blocks"


def _nothing_by_gradients(curvature: str, products: str, solver: str) -> str | None:
    if curvature != "gauss_newton" or (products != "difference" and solver != "f2sa"):
        return None
    return "hessian: differences of gradients tell of no other matrix; or curvature_products graph and another solver"


def _more_than(largest: str, low: int, high: int) -> str | None:
    return None if low <= high else f"at most {high}, the {largest}; lower one or raise the other"


_RULES = (
    _Rule(("image_size", "backbone"), wrong_image_size),
    *(_Rule((part_weight(part), "backbone"), partial(_weight_of_missing_part, part)) for part in PARTS),
    *(
        _Rule(
            ("damping", part_weight(part), "proximity_weight", "backbone", "damping_relative"),
            partial(_nothing_to_divide_by, part),
        )
        for part in PARTS
    ),
    _Rule(("lower_memory", "backbone"), _images_meet),
    _Rule(("curvature", "curvature_products", "solver"), _nothing_by_gradients),
    _Rule(("curvature_batch", "lower_batch"), _more_than_the_lower_batch),
    _Rule(("detection_side_low", "detection_side"), partial(_more_than, "largest shorter side")),
    _Rule(("anchor_low", "anchor_high"), partial(_more_than, "largest side of an anchor")),
    _Rule(("curvature_chunks", "curvature_batch", "lower_batch"), _parts_too_small),
)


@dataclass(frozen=True)
class Misfit:
    """Why a known-good point can't be tried in a search space.

    Attributes:
        name: the point's setting to change.
        clashes_with: settings whose ranges, or values outside of the point, it doesn't go with.
        refusal: what was found, what was expected and what to do next, for the person who wrote the point.
        note: the same for somebody who only inherits the point, and names the setting.
    """

    name: str
    clashes_with: tuple[str, ...]
    refusal: str
    note: str


def out_of_range(name: str, value: SettingValue, parameter: Parameter, came_from: str) -> Misfit | None:
    """Hold a point's value against what the setting is searched over, which was given in the file `came_from`.

    None where the search could propose the value, which is one that the setting can take.
    """
    if parameter.contains(value):
        return None
    remedy = "change the point or widen the range"
    if isinstance(parameter, IntParameter) and isinstance(value, int | float):
        between_steps = parameter.low <= value <= parameter.high
        remedy = f"change the point (nearest: {parameter.nearest(value)}) or the step" if between_steps else remedy
    return Misfit(
        name,
        (name,),
        f"found {shown(value)}, expected a value in the searched range, {parameter.span} ({came_from}); {remedy}",
        f"{name} is {shown(value)}, expected {parameter.span} ({came_from})",
    )


def at_odds(
    point: Mapping[str, SettingValue], possible: Mapping[str, Sequence[SettingValue]], came_from: Mapping[str, str]
) -> Misfit | None:
    """Hold a point against the rules that tie settings to each other; None where everything fits together.

    Args:
        point: values by setting.
        possible: the values that each setting can take in a trial at the point; of a range, its two ends.
        came_from: where the settings that some file gives were given.
    """
    broken = broken_combination(possible)
    if broken is None:
        return None
    names, message = broken
    others = tuple(name for name in names if name not in point)
    given = ", ".join(f"{name}: {came_from[name]}" for name in others if name in came_from)
    own = next((name for name in names if name in point), names[0])
    return Misfit(own, others, message, f"{message} ({given})" if given else message)
