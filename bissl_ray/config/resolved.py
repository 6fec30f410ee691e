"""The settings of one run with where each came from: defaults, a search space, a known-good point, ``--set``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from bissl_ray.config.parameters import SettingValue
from bissl_ray.config.refusal import RuleError, refusal
from bissl_ray.config.scalars import read_argument, typographic
from bissl_ray.config.search_space import SearchSpace
from bissl_ray.config.setting_rules import check_name, check_value, truths
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
    def of(cls, values: Mapping[str, SettingValue], origin: str) -> "ResolvedSettings":
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
    space: SearchSpace, assignments: Mapping[str, SettingValue], point: int | None
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


def parse_assignments(texts: Sequence[str]) -> dict[str, SettingValue]:
    """Read what was given to ``--set``, each a setting's name and a value as a search space writes it.

    Args:
        texts: such as ``lower_lr=0.5``, ``clip_norm=null``, ``pretext=byol``.

    Returns:
        Values by setting, each right by itself.

    Raises:
        BadInputError: no such setting, a value that it can't take, or a setting given twice.
    """
    values: dict[str, SettingValue] = {}
    for text in texts:
        if odd := typographic(text):
            raise BadInputError(f"--set {text}: {odd}")
        name, equals, written = (part.strip() for part in text.partition("="))
        if not (name and equals and written):
            raise BadInputError(f"--set {text}: expected NAME=VALUE, such as --set lower_lr=0.5")
        if name in values:
            raise BadInputError(f"--set {text}: {name} is given twice; give it once")
        try:
            check_name(name, ())
            value = read_argument(written, truth=name in truths())
            check_value(name, value, ())
        except RuleError as error:
            raise BadInputError(f"--set {text}: {error}") from error
        values[name] = value
    return values
