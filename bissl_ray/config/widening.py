"""A searched range whose best value lies at its edge, and how far it could be widened (issue 16)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from bissl_ray.config.parameters import CategoricalParameter, FloatParameter, IntParameter, Parameter, SettingValue
from bissl_ray.config.settings import Settings

_OUTER: Final = 0.05
"""Share of a range, on the scale that it is searched on, that counts as its edge."""
_DECADE: Final = 10.0
_WORDS: Final = ("ge", "gt", "le", "lt")

End = Literal["low", "high"]


@dataclass(frozen=True)
class Bound:
    """An end of the values that a setting can take at all.

    Attributes:
        value: the end; infinite where there is none.
        taken: whether the setting can have that very value.
    """

    value: float
    taken: bool


def bounds(name: str) -> tuple[Bound, Bound]:
    """The smallest and the largest value that a numeric setting can have."""
    metadata: list[Any] = Settings.model_fields[name].metadata
    # Of pydantic's Field(ge=...) and its like.
    said = {word: float(getattr(each, word)) for each in metadata for word in _WORDS if hasattr(each, word)}
    low = Bound(said["ge"], True) if "ge" in said else Bound(said.get("gt", -math.inf), False)
    high = Bound(said["le"], True) if "le" in said else Bound(said.get("lt", math.inf), False)
    return low, high


def edge_of(parameter: Parameter, value: SettingValue) -> End | None:
    """The end of a range that a value lies at: within its outer 5 %, on the scale that is searched.

    Args:
        parameter: searched; one of choices has no ends, and of two whole numbers each is one.
        value: the best one.
    """
    if isinstance(parameter, CategoricalParameter) or not isinstance(value, int | float):
        return None
    if not parameter.contains(value) or (isinstance(parameter, IntParameter) and len(parameter.values) < 3):
        return None
    scale: Callable[[float], float] = math.log if parameter.log else float
    low, high = scale(parameter.low), scale(parameter.high)
    place = (scale(value) - low) / (high - low)
    return "low" if place <= _OUTER else "high" if place >= 1 - _OUTER else None


def widened(name: str, parameter: FloatParameter | IntParameter, end: End) -> tuple[float, float] | None:
    """The range with one end moved outwards: by a decade where it is logarithmic, else by its own width.

    A logarithmic range of less than a decade is widened by its own width, too. What the setting can't take is left out.

    Args:
        name: of the setting.
        parameter: its range.
        end: which one to move.

    Returns:
        Both ends; None where the range ends where the setting does: there is nothing to widen it to.
    """
    low, high = parameter.low, parameter.high
    factor = min(_DECADE, high / low) if parameter.log else 0.0
    bound = bounds(name)[end == "high"]
    if end == "low":
        moved = max(low / factor if parameter.log else low - (high - low), bound.value)
    else:
        moved = min(high * factor if parameter.log else high + (high - low), bound.value)
    begun = low if end == "low" else high
    if moved == bound.value and not bound.taken:
        moved = (begun + bound.value) / 2
    if isinstance(parameter, IntParameter):
        # A whole number of steps, inside the bound.
        moved = begun + math.trunc((moved - begun) / parameter.step) * parameter.step
    else:
        moved = float(f"{moved:.3g}")
    if (moved >= low) if end == "low" else (moved <= high):
        return None
    return (moved, high) if end == "low" else (low, moved)
