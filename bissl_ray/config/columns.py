"""Settings as columns of the store, and back."""

from collections.abc import Mapping
from functools import cache
from types import NoneType
from typing import Any, get_args

from bissl_ray.config.parameters import SettingValue
from bissl_ray.config.settings import Settings, of_any_release
from bissl_ray.words import PARAMETER_PREFIX


@cache
def nullable_settings() -> frozenset[str]:
    """Settings of which null is a value."""
    return frozenset(name for name, field in Settings.model_fields.items() if NoneType in get_args(field.annotation))


def to_columns(settings: Settings) -> dict[str, SettingValue]:
    """Every setting by its column."""
    return {PARAMETER_PREFIX + name: value for name, value in settings.model_dump().items()}


def settings_of_row(row: Mapping[str, Any]) -> dict[str, SettingValue]:
    """Every setting that a row gives, by name.

    A null is a value of a nullable setting; of any other it says that the row is older than the setting. Columns of
    settings that this release doesn't have are left aside.

    Args:
        row: of a trial, as the store has it.
    """
    found = {
        name: row[column]
        for name, column, nullable in _columns()
        if column in row and (nullable or row[column] is not None)
    }
    return of_any_release(found)


@cache
def _columns() -> tuple[tuple[str, str, bool], ...]:
    """Every setting, its column, and whether null is a value of it."""
    return tuple((name, PARAMETER_PREFIX + name, name in nullable_settings()) for name in Settings.model_fields)
