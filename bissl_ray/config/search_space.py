"""A search space: what a sweep searches, holds fixed, knows as good (docs/architecture.md, "Settings and spaces")."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bissl_ray.config.combinations import Misfit, at_odds, broken_combination, out_of_range
from bissl_ray.config.parameters import CategoricalParameter, IntParameter, Parameter, Point, SettingValue
from bissl_ray.config.protocol import Protocol
from bissl_ray.config.refusal import RuleError, refusal
from bissl_ray.config.setting_rules import check_name, check_parameter, check_value
from bissl_ray.config.settings import NULL_MEANS, Settings

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
    known_good: list[Point] = Field(
        default_factory=list,
        description="points tried first; keys that are not searched override the setting for that trial; a point that "
        "names a pretext is for spaces of that pretext only",
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
    """A space with everything that it extends filled in. Written to sweep.json, read back from it."""

    dataset: str = Field(pattern=_DATASET, description="dataset that the space is for")
    sources: dict[str, str] = Field(
        default_factory=dict,
        description="file that each key came from, as of parameters.lower_lr; a key of the protocol without one holds "
        "its default",
    )
    notes: list[str] = Field(default_factory=list, description="what was left out and why, a line each")

    @model_validator(mode="after")
    def _can_be_searched(self) -> "SearchSpace":
        if not self.parameters and self.protocol.trials > 1:
            raise RuleError(
                "found nothing to search, expected one parameter or more; to run the fixed settings as they are, "
                "set trials: 1 under protocol",
                "parameters",
            )
        return self

    @model_validator(mode="after")
    def _a_population_keeps_step(self) -> "SearchSpace":
        if self.protocol.at_a_rung == "exploit" and self.protocol.early_stopping:
            searched = "alternations" in self.parameters
            if searched or any("alternations" in point for point in self.known_good):
                raise RuleError(
                    "found exploit where trials differ in alternations, expected as many of each: a population's come "
                    "to every rung together; fix them",
                    *("protocol", "at_a_rung"),
                )
        return self

    @model_validator(mode="after")
    def _every_trial_fits_together(self) -> "SearchSpace":
        broken = broken_combination({name: self._possible(name) for name in Settings.model_fields})
        if broken is not None:
            names, message = broken
            places = {name: (section, name) for section in SETTING_SECTIONS for name in getattr(self, section)}
            raise RuleError(message, *next((places[name] for name in names if name in places), ()))
        for position, point in enumerate(self.known_good):
            for misfit in self.misfits(point):
                raise RuleError(misfit.refusal, "known_good", position, misfit.name)
        return self

    def misfits(self, point: Mapping[str, SettingValue]) -> list[Misfit]:
        """Why a known-good point can't be tried.

        Args:
            point: values by setting, each one that its setting can take.

        Returns:
            Every value that is out of its searched range; where none is, the first rule between settings that the
            point breaks. Empty for a point that can be tried.
        """
        searched = {**self.parameters, **self.finetune_parameters}
        came_from = {
            name: self.sources.get(f"{section}.{name}", section)
            for section in SETTING_SECTIONS
            for name in getattr(self, section)
        }
        named = [(name, value) for name, value in point.items() if name in searched]
        outside = [out_of_range(name, value, searched[name], came_from[name]) for name, value in named]
        # Completing a point and the rules between settings take its values to be in range.
        if found := [misfit for misfit in outside if misfit is not None]:
            return found
        values = {name: self._possible(name) for name in Settings.model_fields}
        values |= {name: (value,) for name, value in self.complete(point).items()}
        broken = at_odds(point, values, came_from)
        return [] if broken is None else [broken]

    def _possible(self, name: str) -> Sequence[SettingValue]:
        """The values that a trial can have for a setting; of a range, its two ends."""
        parameter = self.parameters.get(name) or self.finetune_parameters.get(name)
        if parameter is None:
            return (self.fixed.get(name, Settings.model_fields[name].default),)
        return parameter.choices if isinstance(parameter, CategoricalParameter) else (parameter.low, parameter.high)

    def every_value(self, name: str) -> Sequence[SettingValue]:
        """Every value that a trial can have for a whole number, apart from what known-good points set."""
        parameter = self.parameters.get(name) or self.finetune_parameters.get(name)
        return parameter.values if isinstance(parameter, IntParameter) else self._possible(name)

    def largest(self, name: str) -> int:
        """The largest value that a trial can have for a setting that is a whole number, never null."""
        known = (point[name] for point in self.known_good if name in point)
        return max(value for value in (*self._possible(name), *known) if isinstance(value, int))

    def middle(self) -> Point:
        """The middle of every range, and the first of each choice: to say what a trial costs before one is drawn."""
        return {name: parameter.middle for name, parameter in {**self.parameters, **self.finetune_parameters}.items()}

    def settings(self, point: Mapping[str, SettingValue]) -> Settings:
        """The settings of the trial at a point: defaults, then what is fixed, then the point.

        Args:
            point: values by setting; searched ones and any other, which then override what is fixed.

        Raises:
            BadInputError: an unknown setting, or a value that it can't take.
        """
        try:
            return Settings.model_validate({**self.fixed, **point}, strict=True)
        except ValidationError as error:
            raise refusal(error, lambda _: "settings of a trial", lambda _: Settings.model_fields) from error

    def complete(self, point: Mapping[str, SettingValue]) -> Point:
        """Give a known-good point every searched parameter, since a sampler wants all of them.

        One that it lacks takes the setting's default, moved to the nearest value that is searched (the first choice,
        for a categorical one whose default is none of them).
        """
        complete = dict(point)
        missing = [name for name in self.parameters if name not in point]
        # What a null stands for comes before what may be null.
        for name in sorted(missing, key=lambda name: name in NULL_MEANS):
            complete[name] = self.parameters[name].nearest(self._default(name, complete))
        return complete

    def _default(self, name: str, point: Mapping[str, SettingValue]) -> SettingValue:
        """A searched setting's default; for a null that is not searched, the value that it stands for."""
        parameter = self.parameters[name]
        default: SettingValue = Settings.model_fields[name].default
        if name not in NULL_MEANS or (isinstance(parameter, CategoricalParameter) and default in parameter.choices):
            return default
        meant = NULL_MEANS[name]
        return point.get(meant, self.fixed.get(meant, Settings.model_fields[meant].default))

    def to_mapping(self) -> dict[str, Any]:
        """The space in the shape of a file that extends nothing; loads back to the same space."""
        return self.model_dump(exclude={"sources", "notes"})
