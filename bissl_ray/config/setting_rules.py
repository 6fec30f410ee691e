"""Rules that tie a search space to the settings it names: right name, right kind, inside the bounds."""

from functools import cache
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import ConfigDict, TypeAdapter, ValidationError

from bissl_ray.config.backbones import part_weight
from bissl_ray.config.parameters import CategoricalParameter, Parameter, SettingValue
from bissl_ray.config.refusal import RuleError, found_and_expected, unknown_key
from bissl_ray.config.settings import Settings
from bissl_ray.config.yaml_document import KeyPath

_FIRST_PARTS = ("stem", "layer1")


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
        several = name == "proximity_weight" and isinstance(value, list | dict)
        hint = f"; for a weight per part, set {', '.join(map(part_weight, _FIRST_PARTS))}, ..." if several else ""
        raise RuleError(found_and_expected(error.errors()[0]) + hint, *path) from error


def check_parameter(name: str, parameter: Parameter, path: KeyPath) -> None:
    """Refuse a parameter of the wrong kind for its setting, or ranging over values that it can't take.

    Raises:
        RuleError: at the key under ``path`` that is wrong.
    """
    kinds = _kinds(name)
    if parameter.type not in kinds:
        raise RuleError(
            f"found {parameter.type}, expected {' or '.join(kinds)}, the kind of setting that {name} is",
            *path,
            "type",
        )
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


def _kinds(name: str) -> tuple[str, ...]:
    """The parameter types that fit a setting."""
    annotation = Settings.model_fields[name].annotation
    if get_origin(annotation) is Literal:
        return ("categorical",)
    members = [member for member in get_args(annotation) if member is not NoneType] or [annotation]
    if members == [int]:
        return ("int", "categorical")
    if members == [float]:
        return ("float", "int", "categorical")
    return ("categorical",)
