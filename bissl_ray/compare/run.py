"""Runs the sweeps of a comparison: all of them, or what is left."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from bissl_ray.compare.extend import FOLDERS
from bissl_ray.config.requests import Case, Comparison
from bissl_ray.data import DataChoice
from bissl_ray.errors import BadInputError
from bissl_ray.search.history import is_finished, planner_of
from bissl_ray.store import read_comparison_document, read_sweep_document, sweep_names, write_comparison_document
from bissl_ray.store.provenance import git_state, versions
from bissl_ray.sweep.outcome import SweepOutcome, View
from bissl_ray.sweep.run import begin_sweep, read_request, resume_sweep


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


def check_comparison(comparison: Comparison, storage: str, address: str | None) -> dict[str, tuple[str, ...]]:
    """Refuse, before anything starts, what would stop a case half-way through the comparison.

    Args:
        comparison: its cases; those that have begun are taken to be right.
        storage: absolute.
        address: of the cluster; None takes RAY_ADDRESS, else this machine, where the data must be.

    Returns:
        By sweep that has not begun, lines on its data, where they are here, and on its checkpoint: what was read of it,
        what matched, and what it may have seen.

    Raises:
        BadInputError: settings, checkpoints or data that don't fit.
    """
    from bissl_ray.preflight.data import DataFacts, inspect_data
    from bissl_ray.preflight.sweeps import (
        OF_THE_CHECKPOINT,
        CheckpointFacts,
        check_pretrained,
        check_request,
    )

    known, begun = read_comparison(storage, comparison.name), sweep_names(storage)
    own = set() if known is None else {case.sweep for case in known.cases}
    # Cases share files of hundreds of megabytes, and datasets of a million files: each is looked at once.
    read: dict[tuple[Any, ...], CheckpointFacts | None] = {}
    seen: dict[tuple[DataChoice, int | None], DataFacts] = {}
    notes: dict[str, tuple[str, ...]] = {}
    for case in comparison.cases:
        if case.sweep in begun:
            if case.sweep not in own:
                raise BadInputError(f"there is a sweep {case.sweep!r} in {storage} already: choose another --name")
            continue
        request, data = case.request, DataChoice.of(case.request)
        check_request(request)
        settings = request.space.settings({})
        fixed = [getattr(settings, name) for name in OF_THE_CHECKPOINT]
        checkpoint = (request.pretrained, request.pretrained_head, request.allow_partial, *fixed)
        if checkpoint not in read:
            read[checkpoint] = check_pretrained(request, pretrain=True)
        of_checkpoint = read[checkpoint]
        if address or os.environ.get("RAY_ADDRESS"):
            notes[case.sweep] = () if of_checkpoint is None else of_checkpoint.notes
            continue
        what = (data, settings.cache_side)
        if what not in seen:
            seen[what] = inspect_data(*what)
        facts = seen[what]
        if not comparison.of_several_datasets:
            facts.require_split(case.dataset)
        told = () if of_checkpoint is None else of_checkpoint.on_data(case.dataset, facts)
        notes[case.sweep] = (f"data: {facts.in_words}", *told)
    return notes


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
                yield begin_sweep(
                    case.request,
                    storage=storage,
                    pretrain=True,
                    address=address,
                    splits_optional=comparison.of_several_datasets,
                    view=shown,
                )
        elif not _has_ended(case, storage):
            with view(case) as shown:
                folders = {name: getattr(case.request, name) for name in FOLDERS}
                yield resume_sweep(case.sweep, storage=storage, address=address, folders=folders, view=shown)


def unfinished(comparison: Comparison, storage: str) -> list[Case]:
    """The cases that have something left to run."""
    begun = sweep_names(storage)
    return [case for case in comparison.cases if case.sweep not in begun or not _has_ended(case, storage)]


def _has_ended(case: Case, storage: str) -> bool:
    """Whether nothing is left to run of what its sweep asks for now: it may have been extended by itself."""
    request = read_request(read_sweep_document(storage, case.sweep), case.sweep)
    return is_finished(planner_of(request, storage)[0])


def _write(comparison: Comparison, storage: str) -> None:
    known = read_comparison_document(storage, comparison.name) or {"created_at": datetime.now(UTC).isoformat()}
    asked = {"comparison": comparison.model_dump(mode="json"), "git": git_state(), "versions": versions()}
    write_comparison_document(storage, comparison.name, {**known, **asked})
