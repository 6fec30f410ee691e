"""A search space: what a sweep searches, what it holds fixed, what is known to be good (DESIGN section 7)."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bissl_ray.config.parameters import CategoricalParameter, Parameter, SettingValue
from bissl_ray.config.protocol import Protocol
from bissl_ray.config.refusal import RuleError, refusal
from bissl_ray.config.setting_rules import check_in_range, check_name, check_parameter, check_value
from bissl_ray.config.settings import Settings

# A dataset's name becomes a folder of the store (dataset=<name>): no separators, no spaces.
_DATASET = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"

SETTING_SECTIONS = ("parameters", "finetune_parameters", "fixed")
"""Sections keyed by setting; a setting stands in at most one of them."""


class _Sections(BaseModel):
    """What a file and a resolved space have in common, with the rules that hold for both."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    parameters: dict[str, Parameter] = Field(default_factory=dict, description="searched settings, by name")
    finetune_parameters: dict[str, Parameter] = Field(
        default_factory=dict,
        description="fine-tuning settings, searched equally long for BiSSL's finalists and for the control",
    )
    fixed: dict[str, SettingValue] = Field(default_factory=dict, description="settings held at one value, by name")
    known_good: list[dict[str, SettingValue]] = Field(
        default_factory=list,
        description="points tried first; keys that are not searched override the setting for that trial",
    )
    protocol: Protocol = Field(default_factory=Protocol, description="how the sweep is run and judged")

    @model_validator(mode="after")
    def _fits_the_settings(self) -> "_Sections":
        for section in ("parameters", "finetune_parameters"):
            for name, parameter in getattr(self, section).items():
                check_name(name, (section, name))
                check_parameter(name, parameter, (section, name))
        for name in self.finetune_parameters:
            if not name.startswith("finetune_"):
                raise RuleError(
                    "found a setting of another stage, expected one that starts with finetune_; "
                    "move it to parameters or fixed",
                    *("finetune_parameters", name),
                )
        for name, value in self.fixed.items():
            check_name(name, ("fixed", name))
            check_value(name, value, ("fixed", name))
        for position, point in enumerate(self.known_good):
            for name, value in point.items():
                check_name(name, ("known_good", position, name))
                check_value(name, value, ("known_good", position, name))
        return self

    @model_validator(mode="after")
    def _one_place_each(self) -> "_Sections":
        places: dict[str, str] = {}
        for section in SETTING_SECTIONS:
            for name in getattr(self, section):
                if name in places:
                    raise RuleError(
                        f"found under {places[name]} as well, expected one place; search it or fix it",
                        *(section, name),
                    )
                places[name] = section
        return self


class SpaceFile(_Sections):
    """One YAML file as written, before what it extends is filled in."""

    dataset: str | None = Field(None, pattern=_DATASET, description="dataset that the space is for")
    extends: str | None = Field(None, min_length=1, description="a shipped space, or a file relative to this one")


class SearchSpace(_Sections):
    """A space with everything that it extends filled in. Written to sweep.json, read back from it.

    Attributes:
        sources: where each key came from, as ``{"parameters.lower_lr": "search_spaces/cars.yaml"}``; a key
            of the protocol without a source holds its default.
    """

    dataset: str = Field(pattern=_DATASET, description="dataset that the space is for")
    sources: dict[str, str] = Field(default_factory=dict, description="file that each key came from")

    @model_validator(mode="after")
    def _can_be_searched(self) -> "SearchSpace":
        if not self.parameters and self.protocol.trials > 1:
            raise RuleError(
                "found nothing to search, expected one parameter or more; to run the fixed settings as they are, "
                "set trials: 1 under protocol",
                "parameters",
            )
        searched = {**self.parameters, **self.finetune_parameters}
        for position, point in enumerate(self.known_good):
            for name, value in point.items():
                if name in searched:
                    section = "parameters" if name in self.parameters else "finetune_parameters"
                    came_from = self.sources.get(f"{section}.{name}", section)
                    check_in_range(value, searched[name], came_from, ("known_good", position, name))
        return self

    def settings(self, point: Mapping[str, SettingValue]) -> Settings:
        """The settings of the trial at a point: defaults, then what is fixed, then the point.

        Args:
            point: values by setting; searched ones and any other, which then override what is fixed.

        Returns:
            Validated settings.

        Raises:
            BadInputError: an unknown setting, or a value that it can't take.
        """
        try:
            return Settings.model_validate({**self.fixed, **point}, strict=True)
        except ValidationError as error:
            raise refusal(error, lambda _: "settings of a trial", lambda _: Settings.model_fields) from error

    def complete(self, point: Mapping[str, SettingValue]) -> dict[str, SettingValue]:
        """Give a known-good point every searched parameter, since a sampler wants all of them.

        Args:
            point: any values by setting.

        Returns:
            The point; a parameter that it lacks takes the setting's default, moved to the nearest value
            that is searched (the first choice, for a categorical one whose default is none of them).
        """
        missing = {name: _default(name, self.parameters[name]) for name in self.parameters if name not in point}
        return {**point, **missing}

    def to_mapping(self) -> dict[str, Any]:
        """The space in the shape of a file that extends nothing; loads back to the same space."""
        return self.model_dump(exclude={"sources"})


def _default(name: str, parameter: Parameter) -> SettingValue:
    default: SettingValue = Settings.model_fields[name].default
    if isinstance(parameter, CategoricalParameter):
        return default if default in parameter.choices else parameter.choices[0]
    if not isinstance(default, int | float):
        return parameter.low
    return min(max(default, parameter.low), parameter.high)
