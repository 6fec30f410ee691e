"""From the names that a person gave to the earlier sweeps that a new one starts from."""

from collections.abc import Iterator

from bissl_ray.config.parameters import Point
from bissl_ray.config.requests import SweepRequest, WarmSource, WarmTrial
from bissl_ray.config.search_space import SearchSpace
from bissl_ray.errors import BadInputError, nearest
from bissl_ray.search.history import planner_of
from bissl_ray.search.records import Record
from bissl_ray.store.documents import read_sweep_document
from bissl_ray.store.paths import sweep_names
from bissl_ray.words import Phase, Status, Step

_MOST = 200
"""Trials of a source, the newest: enough to model, and little to write down."""


def warm_sources(names: str, space: SearchSpace, storage: str) -> tuple[WarmSource, ...]:
    """Look up earlier sweeps, or the newest of a dataset.

    Args:
        names: of sweeps or datasets, with commas between them.
        space: of the new sweep.
        storage: absolute.

    Raises:
        BadInputError: nothing is searched; there is no such sweep, or none of its trials tells anything.
    """
    if not space.parameters:
        raise BadInputError(f"--warm-from {names}: the new sweep searches nothing, so nothing is to be learnt for it")
    asked = [name.strip() for name in names.split(",")]
    if len(set(asked)) < len(asked) or not all(asked):
        raise BadInputError(f"--warm-from {names}: expected names of sweeps or datasets, each once: night,pets")
    requests = {name: read_sweep_document(storage, name).request for name in sweep_names(storage)}
    return tuple(_source(_request(name, requests, storage), space, storage) for name in asked)


def _request(name: str, requests: dict[str, SweepRequest], storage: str) -> SweepRequest:
    if name in requests:
        return requests[name]
    # Their order is that of their names, and those that no person gave end in the time.
    of_dataset = [request for request in requests.values() if request.dataset == name and request.control is None]
    if of_dataset:
        return of_dataset[-1]
    known = [*requests, *{request.dataset: None for request in requests.values()}]
    there = f"there are {', '.join(known)}" if known else "it holds no sweep yet"
    raise BadInputError(
        f"--warm-from: no sweep, and no dataset of one, {name!r} in {storage}: {there}{nearest(name, known)}"
    )


def _source(request: SweepRequest, space: SearchSpace, storage: str) -> WarmSource:
    planner, _ = planner_of(request, storage)
    explored = [record for record in planner.records.values() if record.step == Step.SEARCH]
    trials = tuple(_trials(explored, space))[-_MOST:]
    if not trials:
        raise BadInputError(
            f"--warm-from {request.name}: none of its trials has a score; name a sweep that has explored"
        )
    winner = next(iter(planner.confirmed(Phase.CONFIRM)), None)
    best = planner.records.get(winner.parent or "") if winner is not None else planner.ledger.incumbent
    if best is None:
        best = max((record for record in explored if record.curve), key=lambda record: record.objective or 0.0)
    return WarmSource(sweep=request.name, dataset=request.dataset, best=_point(best, space), trials=trials)


def _trials(explored: list[Record], space: SearchSpace) -> Iterator[WarmTrial]:
    for record in explored:
        if record.curve and record.objective is not None and record.status in (Status.COMPLETE, Status.PRUNED):
            last = max(record.curve)
            yield WarmTrial(
                point=_point(record, space),
                objective=record.curve[last],
                alternation=last,
                complete=record.status == Status.COMPLETE,
            )


def _point(record: Record, space: SearchSpace) -> Point:
    """What the new sweep searches, at the nearest values to those that the trial had."""
    # What a null stands for is another setting's, which `complete` knows.
    had = {name: value for name, value in record.point.items() if value is not None}
    searched = {name: space.parameters[name].nearest(value) for name, value in had.items() if name in space.parameters}
    return {name: value for name, value in space.complete({**had, **searched}).items() if name in space.parameters}
