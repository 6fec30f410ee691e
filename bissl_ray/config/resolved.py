"""The settings of one run with where each came from: what a stage run by itself does, and its dry run prints."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from bissl_ray.config.parameters import SettingValue
from bissl_ray.config.refusal import refusal
from bissl_ray.config.search_space import SearchSpace
from bissl_ray.config.settings import Settings
from bissl_ray.errors import BadInputError

COMMAND_LINE = "--set"


@dataclass(frozen=True)
class ResolvedSettings:
    """Every setting of a run.

    Attributes:
        settings: validated.
        origins: where each came from, in words; one that is missing holds its default.
    """

    settings: Settings
    origins: Mapping[str, str] = field(default_factory=dict)

    def origin(self, name: str) -> str:
        """Where a setting came from."""
        return self.origins.get(name, "default")

    @classmethod
    def of(cls, values: Mapping[str, Any], origin: str) -> "ResolvedSettings":
        """Settings that were written down as a whole; what this release knows beside them holds its default.

        Args:
            values: by name.
            origin: where they are from, in words.

        Raises:
            BadInputError: a setting that this release doesn't know, or a value that it can't take.
        """
        try:
            settings = Settings.model_validate(dict(values), strict=True)
        except ValidationError as error:
            raise refusal(error, lambda _: origin, lambda _: Settings.model_fields) from error
        return cls(settings, dict.fromkeys(values, origin))


def resolve_settings(
    space: SearchSpace, assignments: Mapping[str, SettingValue], point: int | None = None
) -> ResolvedSettings:
    """The settings of the run that a search space describes: defaults, what is fixed, a known-good point, ``--set``.

    Args:
        space: of the dataset; what it searches and the point doesn't name takes the setting's default, moved to the
            nearest value that is searched.
        assignments: from the command line, the last word.
        point: number of the known-good point, from 1; None: the first, if there is any.

    Raises:
        BadInputError: no such point, or settings that don't fit together.
    """
    known = len(space.known_good)
    if point is not None and not 1 <= point <= known:
        there = f"one from 1 to {known}" if known else "none: the space has no known-good point"
        raise BadInputError(f"--point {point}: expected {there}")
    number = min(1, known) if point is None else point
    chosen = space.known_good[number - 1] if number else {}
    complete = space.complete(chosen)
    listed = space.sources.get("known_good", "the space")
    origins = {name: space.sources.get(f"fixed.{name}", "the space") for name in space.fixed}
    for name, value in complete.items():
        if name in chosen:
            origins[name] = f"{listed}, known-good point {number}"
        elif value != Settings.model_fields[name].default:
            origins[name] = f"nearest to the default in {space.sources.get(f'parameters.{name}', 'the space')}"
    origins |= dict.fromkeys(assignments, COMMAND_LINE)
    return ResolvedSettings(space.settings({**complete, **assignments}), origins)


def override(resolved: ResolvedSettings, assignments: Mapping[str, SettingValue]) -> ResolvedSettings:
    """Settings with what the command line says instead (raises BadInputError: they don't fit together)."""
    values = {**resolved.settings.model_dump(), **assignments}
    origins = {**resolved.origins, **dict.fromkeys(assignments, COMMAND_LINE)}
    return ResolvedSettings(ResolvedSettings.of(values, COMMAND_LINE).settings, origins)
