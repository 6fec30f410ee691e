"""A trial of a sweep as the source of a stage's settings."""

from dataclasses import dataclass
from types import NoneType
from typing import Any, get_args

from pydantic import ValidationError

from bissl_ray.config.request import SweepRequest
from bissl_ray.config.resolved import ResolvedSettings
from bissl_ray.config.settings import Settings
from bissl_ray.errors import BadInputError
from bissl_ray.leaderboard import find_trial
from bissl_ray.store import read_sweep_document

_PREFIX = "param_"


@dataclass(frozen=True)
class SweptTrial:
    """What a sweep knows of one of its trials.

    Attributes:
        resolved: the trial's settings.
        request: what the sweep was asked for: dataset, split and where the data lie.
    """

    resolved: ResolvedSettings
    request: SweepRequest


def trial_of_sweep(storage: str, text: str) -> SweptTrial:
    """Look up a trial.

    Args:
        storage: where its sweep is.
        text: "SWEEP/TRIAL", or "TRIAL" where one sweep alone has it.

    Raises:
        BadInputError: there is no such trial, or its sweep can't be read.
    """
    sweep, _, trial = text.rpartition("/")
    row, _ = find_trial(storage, trial, sweep or None)
    settings = {name: row[_PREFIX + name] for name in Settings.model_fields if _has(row, name)}
    document = read_sweep_document(storage, row["sweep"])
    try:
        request = SweepRequest.model_validate(document["request"])
    except (KeyError, ValidationError) as error:
        raise BadInputError(
            f"--from-trial {text}: sweep {row['sweep']} was written by another release, whose sweep.json this "
            "one can't read; give its settings with --set, or with a file and --space"
        ) from error
    return SweptTrial(ResolvedSettings.of(settings, f"trial {row['sweep']}/{trial}"), request)


def _has(row: dict[str, Any], name: str) -> bool:
    """Whether a row gives a setting; null is a value of some; of others it says that the row is older."""
    nullable = NoneType in get_args(Settings.model_fields[name].annotation)
    return row.get(_PREFIX + name) is not None or (nullable and _PREFIX + name in row)
