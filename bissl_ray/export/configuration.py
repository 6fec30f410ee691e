"""A run's configuration, as a search space that holds all of it."""

from collections.abc import Mapping
from types import NoneType
from typing import Any, get_args

from bissl_ray.config.settings import Settings
from bissl_ray.leaderboard.ranking import PREFIX
from bissl_ray.leaderboard.run_again import space_of


def configuration_yaml(row: dict[str, Any]) -> str:
    """Write the settings of a run as a space that runs them as one trial.

    Settings that are younger than the run are left out: they take their defaults.

    Args:
        row: of the run, as the store has it.
    """
    settings = {}
    for name, field in Settings.model_fields.items():
        value = row.get(PREFIX + name)
        if value is not None or (PREFIX + name in row and NoneType in get_args(field.annotation)):
            settings[name] = value
    return space_of(row["dataset"], settings) + "\n"


def configuration_of_file(metadata: Mapping[str, Any]) -> str:
    """Write the settings that a checkpoint file of ours was made with, likewise.

    Args:
        metadata: of the file.
    """
    return space_of(metadata["dataset"], metadata["settings"]) + "\n"
