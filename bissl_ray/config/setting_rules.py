"""Rules that tie a search space to the settings it names: right name, right kind, inside the bounds."""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Final, get_args

from pydantic import ConfigDict, TypeAdapter, ValidationError

from bissl_ray.config.how_to_write import means_nothing
from bissl_ray.config.names import part_weight
from bissl_ray.config.parameters import CategoricalParameter, FloatParameter, Parameter, SettingValue
from bissl_ray.config.protocol import Protocol
from bissl_ray.config.refusal import RuleError, found_and_expected, unknown_key
from bissl_ray.config.settings import Settings
from bissl_ray.config.settings_group import check_exact
from bissl_ray.config.yaml_document import KeyPath

_FIRST_PARTS: Final = ("stem", "layer1")
_KINDS: Final[Mapping[type, tuple[str, ...]]] = {int: ("int", "categorical"), float: ("float", "int", "categorical")}
"""The parameter types that fit a setting, by its own; one that is no number takes choices alone."""


@cache
def parameter_types() -> Mapping[str, type]:
    """Types of all settings, by name: float, int, bool, or str for whatever else; null apart."""
    return {
        name: next((kind for kind in (float, int, bool) if field.annotation in (kind, kind | None)), str)
        for name, field in Settings.model_fields.items()
    }


@cache
def truths() -> frozenset[str]:
    """The keys of a space file whose values are true or false: settings and others."""
    models = (Settings, Protocol, FloatParameter)
    fields = (field for model in models for field in model.model_fields.items())
    return frozenset(name for name, field in fields if field.annotation is bool)


def check_name(name: str, path: KeyPath) -> None:
    """Refuse a name that is no setting of a trial.

    Raises:
        RuleError: at ``path``, with the nearest right names.
    """
    if name not in Settings.model_fields:
        raise RuleError(unknown_key(name, Settings.model_fields), *path)


def check_value(name: str, value: SettingValue, path: KeyPath) -> None:
    """Refuse a value that the setting can't take.

    Raises:
        RuleError: at ``path``: wrong type, or outside the setting's own bounds.
    """
    try:
        _adapter(name).validate_python(value)
    except ValidationError as error:
        hint = ""
        if name == "proximity_weight" and isinstance(value, list | dict):
            hint = f"; for a weight per part, set {', '.join(map(part_weight, _FIRST_PARTS))}, ..."
        elif (
            isinstance(value, str)
            and means_nothing(value)
            and type(None) in get_args(Settings.model_fields[name].annotation)
        ):
            hint = "; for no value, write null without quotes"
        raise RuleError(found_and_expected(error.errors()[0]) + hint, *path) from error
    try:
        check_exact(value)
    except RuleError as error:
        raise RuleError(str(error), *path) from None


def check_parameter(name: str, parameter: Parameter, path: KeyPath) -> None:
    """Refuse a parameter of the wrong kind for its setting, or ranging over values that it can't take.

    Raises:
        RuleError: at the key under ``path`` that is wrong.
    """
    kinds = _KINDS.get(parameter_types()[name], ("categorical",))
    if parameter.type not in kinds:
        expected = f"{' or '.join(kinds)}, the kind of setting that {name} is"
        raise RuleError(f"found {parameter.type}, expected {expected}", *path, "type")
    if isinstance(parameter, CategoricalParameter):
        for position, choice in enumerate(parameter.choices):
            check_value(name, choice, (*path, "choices", position))
        return
    check_value(name, parameter.low, (*path, "low"))
    check_value(name, parameter.high, (*path, "high"))


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    """One setting's own validation; strict, so that neither "5" nor true passes for a number."""
    field = Settings.model_fields[name]
    kind: Any = Annotated[field.annotation, field]
    return TypeAdapter(kind, config=ConfigDict(strict=True, allow_inf_nan=False))


def _may_be_null(name: str) -> bool:
    return type(None) in get_args(Settings.model_fields[name].annotation)
