"""The controls of a comparison beside plain fine-tuning, each a sweep of its own beside the one that runs BiSSL.

Each has what BiSSL has: the checkpoint, the data, the trials of the search where something of it is searched, the
fine-tuning runs, the seeds, the one look at the test split.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from bissl_ray.compare.confirmed import as_confirmed
from bissl_ray.config import SearchSpace, SettingValue
from bissl_ray.config.fixing import held, one_trial
from bissl_ray.config.parameters import FloatParameter
from bissl_ray.config.requests import Case, Comparison, SweepRequest
from bissl_ray.config.settings import OF_THE_SOLVE, SolverSettings
from bissl_ray.controls import CONTROLS, PLAIN
from bissl_ray.errors import BadInputError
from bissl_ray.leaderboard.configurations import best_bissl, gather
from bissl_ray.search.cost import alignment_gradients
from bissl_ray.store import read_trials, to_rows
from bissl_ray.store.documents import read_sweep_document

JOINT_WEIGHTS: Final = FloatParameter(type="float", low=0.03, high=30.0, log=True)
"""Where joint training's weight is searched: the losses are of one size, and a weight of 30 is all but supervised."""
_FEWEST_FOR_A_WEIGHT: Final = 4
"""Trials that joint training's weight is searched in where BiSSL is held at one configuration."""


def with_controls(comparison: Comparison, asked: Iterable[str]) -> Comparison:
    """The comparison with these controls, and those that it has, in each of its cases of BiSSL.

    Raises:
        BadInputError: a control can't be made of a case's space.
    """
    wanted = {case.control for case in comparison.cases} | {*asked}
    names = [name for name in CONTROLS if name in wanted and name != PLAIN]
    begun = {case.sweep: case.request for case in comparison.cases}
    cases: list[Case] = []
    for case in comparison.cases:
        if case.control == PLAIN:
            cases.append(case)
            for request in (_of_control(case.request, name) for name in names):
                # One that has begun stays as it was asked for, but for where its data lie.
                asked_for = begun.get(request.name, request).model_copy(update={"data": request.data})
                cases.append(Case(checkpoint=case.checkpoint, request=asked_for))
    return comparison.model_copy(update={"cases": tuple(cases)})


def main_case(comparison: Comparison, case: Case) -> Case:
    """The case of BiSSL that a control is of."""
    return next(
        each
        for each in comparison.cases
        if each.control == PLAIN and (each.dataset, each.checkpoint) == (case.dataset, case.checkpoint)
    )


def as_it_runs(comparison: Comparison, case: Case, storage: str) -> SweepRequest:
    """What a case's sweep is asked for, once those before it have run.

    Raises:
        BadInputError: fine-tuning is to take as many gradients as BiSSL, which has no confirmed configuration.
    """
    if case.control != "gradients":
        return case.request
    main = main_case(comparison, case)
    rows = to_rows(read_trials(storage, main.dataset, main.sweep, surely=True))
    winner = best_bissl(gather(rows), (main.dataset, main.sweep))
    if winner is None:
        raise BadInputError(f"{case.sweep}: {main.sweep} has no confirmed configuration, whose gradients it would take")
    request, sizes = case.request, read_sweep_document(storage, main.sweep).data
    settings, products = as_confirmed(winner)
    extra = {"finetune_extra_images": alignment_gradients(settings, sizes, request.workers_per_trial, products)}
    return request.model_copy(update={"space": held(request.space, extra, {})})


def _of_control(main: SweepRequest, name: str) -> SweepRequest:
    changes = {"name": f"{main.name}-{name}", "control": name, "space": _space(main.space, name)}
    return main.model_copy(update=changes)


def _space(space: SearchSpace, name: str) -> SearchSpace:
    """The space of a control: BiSSL's, less what the control has no use for."""
    match name:
        case "gradients" | "scratch":
            return space
        case "frozen":
            return held(space, {"finetune_part": "head"}, {})
        case "identity":
            return _without(space, OF_THE_SOLVE, {"solver": "identity"})
        case "continued":
            return _without(space, _of_bissl(), {"method": "continued"})
    joint = _without(space, _of_bissl(), {"method": "joint"})
    plan = space.protocol
    alone = {"trials": _FEWEST_FOR_A_WEIGHT, "sampler": "qmc"} if plan.trials < _FEWEST_FOR_A_WEIGHT else {}
    return SearchSpace.model_validate(
        {
            **joint.model_dump(),
            "parameters": {**joint.parameters, "joint_weight": JOINT_WEIGHTS},
            "protocol": {**joint.protocol.model_dump(), "trials": plan.trials, **alone},
        }
    )


def _of_bissl() -> list[str]:
    """What no method but BiSSL reads."""
    return [*SolverSettings.model_fields, "direct_weight"]


def _without(space: SearchSpace, unread: Iterable[str], fixed: dict[str, SettingValue]) -> SearchSpace:
    """The space with such settings searched no more; where nothing is left to search, one trial runs."""
    values = space.settings({}).model_dump()
    unread = [name for name in unread if name not in fixed]
    rest = [name for name in space.parameters if name not in unread and name not in fixed]
    kept = {name: values[name] for name in _given(space, unread)}
    return held(space, {**kept, **fixed}, {} if rest else one_trial(space))


def _given(space: SearchSpace, names: Iterable[str]) -> Iterator[str]:
    """Those that the space searches, or that one of its points gives."""
    points = {name for point in space.known_good for name in point}
    return (name for name in names if name in space.parameters or name in points)
