"""What Optuna is told of a trial: the store's record as one of Optuna's, a searched setting as a distribution."""

import math
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from bissl_ray.config.parameters import CategoricalParameter, FloatParameter, IntParameter, Parameter, Point
from bissl_ray.config.settings import unread
from bissl_ray.search.records import Record
from bissl_ray.words import Status

optuna.logging.set_verbosity(optuna.logging.ERROR)


def distribution(parameter: Parameter) -> BaseDistribution:
    """A searched setting as Optuna has it."""
    match parameter:
        case FloatParameter():
            return FloatDistribution(parameter.low, parameter.high, log=parameter.log)
        case IntParameter():
            return IntDistribution(parameter.low, parameter.high, log=parameter.log, step=parameter.step)
        case CategoricalParameter():
            return CategoricalDistribution(parameter.choices)


def contains(of: BaseDistribution, value: object) -> bool:
    """Whether a distribution has a value."""
    try:
        return bool(of._contains(of.to_internal_repr(value)))
    except ValueError:  # none of a categorical distribution's choices
        return False


def read_settings(point: Point) -> Point:
    """A point without the settings that its solver does not read."""
    nothing_reads = unread({"solver": point.get("solver")})
    return {name: value for name, value in point.items() if name not in nothing_reads}


def state_of(record: Record, trades_off: bool = False) -> TrialState:
    """How a trial ended, as Optuna has it.

    Args:
        record: of a trial that has ended, or paused.
        trades_off: whether its seconds are an objective as well.
    """
    if record.scored and not (trades_off and record.seconds is None):
        return TrialState.COMPLETE
    told_in_part = record.scored or record.status in (Status.PRUNED, Status.PAUSED)
    return TrialState.PRUNED if told_in_part else TrialState.FAIL


def values_of(record: Record, trades_off: bool = False) -> list[float]:
    """What a trial that ran to its end has come to, an objective each."""
    found = [record.objective, record.seconds][: 1 + trades_off]
    return [value for value in found if value is not None]


def frozen(
    record: Record,
    distributions: Mapping[str, BaseDistribution],
    trades_off: bool = False,
    attributes: Mapping[str, Any] | None = None,
) -> FrozenTrial:
    """A trial that has ended, or paused, as one of Optuna's.

    Args:
        record: of it.
        distributions: what is searched.
        trades_off: whether its seconds are an objective as well.
        attributes: of the user, for who looks at it.
    """
    point = read_settings(record.point) if "solver" in distributions else record.point
    state = state_of(record, trades_off)
    curve = {} if trades_off else {step: value for step, value in record.curve.items() if math.isfinite(value)}
    values = values_of(record, trades_off) if state == TrialState.COMPLETE else None
    if state == TrialState.PRUNED and curve:
        values = [curve[max(curve)]]
    # Of a point from before the space was changed, what still lies in it is learnt from.
    known = {name: of for name, of in distributions.items() if name in point and contains(of, point[name])}
    return create_trial(
        state=state,
        values=values,
        params={name: point[name] for name in known},
        distributions=known,
        intermediate_values=curve,
        user_attrs=None if attributes is None else dict(attributes),
    )
