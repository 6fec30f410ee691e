"""What a searched setting may range over: numbers between two bounds, or one of a few choices."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SkipValidation, model_validator

from bissl_ray.config.refusal import RuleError, shown

# Checked against the setting that it is for (setting_rules.py), which knows the right type.
SettingValue = Annotated[bool | int | float | str | None, SkipValidation]


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
                f"found low equal to high ({self.low:g}), expected low < high; to hold it, move it to fixed",
                "high",
            )
        if self.low > self.high:
            raise RuleError(f"found {self.low:g} above high {self.high:g}, expected low < high; swap them", "low")
        if self.log and self.low <= 0:
            raise RuleError(
                f"found {self.low:g} with log: true, expected a value above 0; raise low or drop log", "low"
            )
        return self


class FloatParameter(_Range):
    """A real number between two bounds."""

    type: Literal["float"]


class IntParameter(_Range):
    """A whole number between two bounds."""

    type: Literal["int"]
    low: int = Field(description="smallest value, included")
    high: int = Field(description="largest value, included")


class CategoricalParameter(_Parameter):
    """One of a few values."""

    type: Literal["categorical"]
    choices: list[SettingValue] = Field(description="the values, two or more, all different")

    @model_validator(mode="after")
    def _choices_differ(self) -> "CategoricalParameter":
        if len(self.choices) < 2:
            raise RuleError(
                f"found {len(self.choices)}, expected two or more choices; to hold one, move it to fixed",
                "choices",
            )
        for position, choice in enumerate(self.choices):
            if choice in self.choices[:position]:
                raise RuleError(f"found {shown(choice)} again, expected different choices", "choices", position)
        return self


Parameter = Annotated[FloatParameter | IntParameter | CategoricalParameter, Field(discriminator="type")]
