"""Why a known-good point can't be tried in a search space: out of a searched range, or at odds with other settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bissl_ray.config.combinations import broken_combination
from bissl_ray.config.parameters import IntParameter, Parameter, SettingValue
from bissl_ray.config.refusal import shown


@dataclass(frozen=True)
class Misfit:
    """One reason.

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
    """Hold a point's value against what the setting is searched over.

    Args:
        name: of the setting.
        value: one that the setting can take.
        parameter: what it is searched over.
        came_from: where the range was given.

    Returns:
        The misfit; None where the search could propose the value.
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
    """Hold a point against the rules that tie settings to each other.

    Args:
        point: values by setting.
        possible: the values that each setting can take in a trial at the point; of a range, its two ends.
        came_from: where the settings that some file gives were given.

    Returns:
        The first misfit; None where everything fits together.
    """
    broken = broken_combination(possible)
    if broken is None:
        return None
    names, message = broken
    others = tuple(name for name in names if name not in point)
    given = ", ".join(f"{name}: {came_from[name]}" for name in others if name in came_from)
    own = next((name for name in names if name in point), names[0])
    return Misfit(own, others, message, f"{message} ({given})" if given else message)
