"""Runs the sweeps of a comparison: all of them, or what is left."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime

from pydantic import ValidationError

from bissl_ray.config.comparison import Case, Comparison
from bissl_ray.errors import BadInputError
from bissl_ray.job.provenance import git_state, versions
from bissl_ray.store import (
    read_comparison_document,
    sweep_names,
    write_comparison_document,
)
from bissl_ray.sweep.outcome import SweepOutcome, View
from bissl_ray.sweep.replay import is_finished, planner_of
from bissl_ray.sweep.run import begin_sweep, resume_sweep


def read_comparison(storage: str, name: str) -> Comparison | None:
    """Read a comparison that was begun; None where there is none of that name.

    Raises:
        BadInputError: its document is damaged, or of another release.
    """
    document = read_comparison_document(storage, name)
    if document is None:
        return None
    try:
        return Comparison.model_validate(document["comparison"])
    except (KeyError, ValidationError) as error:
        raise BadInputError(
            f"comparison {name} was written by another release, which this one can't read "
            f"({' '.join(str(error).split())[:120]}): go on with that release, or choose another --name"
        ) from error


def joined(known: Comparison | None, asked: Comparison) -> Comparison:
    """Add what is asked for now to what a comparison has: cases of a dataset together, own pretraining by its length.

    Raises:
        BadInputError: a case that it has is asked for in another way.
    """
    old = {} if known is None else {case.sweep: case for case in known.cases}
    for case in asked.cases:
        if case.sweep in old and old[case.sweep] != case:
            raise BadInputError(
                f"comparison {asked.name} has {case.dataset} from {case.checkpoint} already, with other settings: "
                "leave the options out to go on with it, or choose another --name"
            )
    cases = [*old.values(), *(case for case in asked.cases if case.sweep not in old)]
    datasets = list(dict.fromkeys(case.dataset for case in cases))

    def place(case: Case) -> tuple[int, int]:
        settings = case.request.space.settings({})
        return datasets.index(case.dataset), settings.pretrain_epochs if case.request.pretrained is None else 0

    return Comparison(name=asked.name, cases=tuple(sorted(cases, key=place)))


def check_comparison(comparison: Comparison, storage: str, address: str | None) -> None:
    """Refuse, before anything starts, what would stop a case half-way through the comparison.

    Args:
        comparison: its cases; those that have begun are taken to be right.
        storage: absolute.
        address: of the cluster; None takes RAY_ADDRESS, else this machine, where the data must be.

    Raises:
        BadInputError: settings, checkpoints or data that don't fit.
    """
    from bissl_ray.job.data_facts import inspect_data
    from bissl_ray.sweep.preflight import check_pretrained, check_request, chosen_data

    known, begun = read_comparison(storage, comparison.name), sweep_names(storage)
    for case in comparison.cases:
        if case.sweep in begun:
            if known is None or case not in known.cases:
                raise BadInputError(f"there is a sweep {case.sweep!r} in {storage} already: choose another --name")
            continue
        check_request(case.request)
        check_pretrained(case.request, pretrain=True)
        if not (address or os.environ.get("RAY_ADDRESS")):
            inspect_data(chosen_data(case.request))


def run_comparison(
    comparison: Comparison,
    storage: str,
    address: str | None,
    view: Callable[[Case], AbstractContextManager[View]],
) -> Iterator[SweepOutcome]:
    """Run the cases that are not finished, one after another.

    Args:
        comparison: what to run; its document is written first.
        storage: absolute.
        address: of a running Ray cluster; None takes RAY_ADDRESS, else starts one here.
        view: shows the progress of a case.

    Yields:
        How each case ended that was run; nothing for one that was finished before.
    """
    _write(comparison, storage)
    for case in comparison.cases:
        if case.sweep not in sweep_names(storage):
            with view(case) as shown:
                yield begin_sweep(case.request, storage=storage, pretrain=True, address=address, view=shown)
        elif not is_finished(planner_of(case.request, storage)[0]):
            with view(case) as shown:
                yield resume_sweep(case.sweep, storage=storage, address=address, view=shown)


def unfinished(comparison: Comparison, storage: str) -> list[Case]:
    """The cases that have something left to run."""
    begun = sweep_names(storage)
    return [
        case
        for case in comparison.cases
        if case.sweep not in begun or not is_finished(planner_of(case.request, storage)[0])
    ]


def _write(comparison: Comparison, storage: str) -> None:
    known = read_comparison_document(storage, comparison.name) or {"created_at": datetime.now(UTC).isoformat()}
    asked = {"comparison": comparison.model_dump(mode="json"), "git": git_state(), "versions": versions()}
    write_comparison_document(storage, comparison.name, {**known, **asked})
