"""What a searched setting may range over: numbers between two bounds, or one of a few choices."""

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SkipValidation, model_validator

from bissl_ray.config.refusal import RuleError, shown

# Checked against the setting that it is for (setting_rules.py), which knows the right type.
SettingValue = Annotated[bool | int | float | str | None, SkipValidation]
Point = dict[str, SettingValue]
"""A point of a search space: values by setting."""


class _Parameter(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    type: str


class _Range(_Parameter):
    low: float = Field(description="smallest value, included")
    high: float = Field(description="largest value, included")
    log: bool = Field(False, description="search the logarithm: each decade is as likely as the next")

    @model_validator(mode="after")
    def _bounds_in_order(self) -> "_Range":
        if self.low == self.high:
            raise RuleError(
                f"found low equal to high ({self.low:g}), expected low < high; to hold it, move it to fixed", "high"
            )
        if self.low > self.high:
            raise RuleError(f"found {self.low:g} above high {self.high:g}, expected low < high; swap them", "low")
        if self.log and self.low <= 0:
            raise RuleError(
                f"found {self.low:g} with log: true, expected a value above 0; raise low or drop log", "low"
            )
        return self

    @property
    def span(self) -> str:
        """The values in words: ``0.1 to 4.8``."""
        return f"{self.low!r} to {self.high!r}"

    @property
    def middle(self) -> int | float:
        """Half of what is searched lies below it."""
        return self.nearest(math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2)

    def contains(self, value: SettingValue) -> bool:
        """Whether the search can propose a value."""
        return isinstance(value, int | float) and self.low <= value <= self.high

    def nearest(self, value: SettingValue) -> int | float:
        """The searched value nearest to a number; low, for what is none."""
        return min(max(value, self.low), self.high) if isinstance(value, int | float) else self.low


class FloatParameter(_Range):
    """A real number between two bounds."""

    type: Literal["float"]


class IntParameter(_Range):
    """A whole number between two bounds, or one in every so many of them."""

    type: Literal["int"]
    low: int = Field(description="smallest value, included")
    high: int = Field(description="largest value, included")
    step: int = Field(1, ge=1, description="from one value to the next, counted from low; divides high - low")

    @model_validator(mode="after")
    def _steps_end_at_high(self) -> "IntParameter":
        if self.log and self.step != 1:
            raise RuleError(
                f"found {self.step} with log: true, expected one of them: Optuna takes no steps on a logarithmic "
                "scale; drop step or log",
                "step",
            )
        if (self.high - self.low) % self.step:
            # Optuna would lower high without a word. At least one step up: low alone is nothing to search.
            fitting = self.low + self.step * max(1, _rounded((self.high - self.low) / self.step))
            raise RuleError(
                f"found {self.high}, expected low = {self.low} plus a multiple of step = {self.step}; "
                f"the nearest high is {fitting}",
                "high",
            )
        return self

    @property
    def values(self) -> range:
        """Every value, smallest first."""
        return range(self.low, self.high + 1, self.step)

    @property
    def span(self) -> str:
        """The values in words: ``0 to 10 in steps of 2``."""
        return f"{super().span} in steps of {self.step}"

    def contains(self, value: SettingValue) -> bool:
        """Whether the search can propose a value: in the range, and a whole number of steps above low."""
        return isinstance(value, int | float) and super().contains(value) and (value - self.low) % self.step == 0

    def nearest(self, value: SettingValue) -> int:
        """The searched value nearest to a number, the lower of two; low, for what is none."""
        return self.low + self.step * _rounded((super().nearest(value) - self.low) / self.step)


class CategoricalParameter(_Parameter):
    """One of a few values."""

    type: Literal["categorical"]
    choices: list[SettingValue] = Field(description="the values, two or more, all different")

    @model_validator(mode="after")
    def _choices_differ(self) -> "CategoricalParameter":
        if len(self.choices) < 2:
            raise RuleError(
                f"found {len(self.choices)}, expected two or more choices; to hold one, move it to fixed", "choices"
            )
        for position, choice in enumerate(self.choices):
            if choice in self.choices[:position]:
                raise RuleError(f"found {shown(choice)} again, expected different choices", "choices", position)
        return self

    @property
    def span(self) -> str:
        """The values in words: ``one of 'cg', 'neumann'``."""
        return f"one of {', '.join(shown(choice) for choice in self.choices)}"

    @property
    def middle(self) -> SettingValue:
        """The first choice: they have no middle."""
        return self.choices[0]

    def contains(self, value: SettingValue) -> bool:
        """Whether the search can propose a value."""
        return value in self.choices

    def nearest(self, value: SettingValue) -> SettingValue:
        """The value itself where it is searched, else the first choice."""
        return value if value in self.choices else self.choices[0]


Parameter = Annotated[FloatParameter | IntParameter | CategoricalParameter, Field(discriminator="type")]


def _rounded(number: float) -> int:
    """The nearest whole number, the lower of two that are equally near."""
    return math.ceil(number - 0.5)
