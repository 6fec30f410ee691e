"""The main job: `run_sweep` and `resume_sweep`."""

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bissl_ray.config import SearchSpace, load_search_space
from bissl_ray.config.fixing import tuned_once
from bissl_ray.config.protocol import Budget, parse_budget
from bissl_ray.config.requests import SweepRequest
from bissl_ray.data import get_dataset
from bissl_ray.errors import BadInputError
from bissl_ray.leaderboard.live import SweepProgress
from bissl_ray.preflight.requests import check_pretext_flags, check_reading_flags, check_worker_count
from bissl_ray.search.history import is_finished, planner_of
from bissl_ray.store import check_name, check_writable, read_sweep_document, sweep_names
from bissl_ray.store.paths import absolute_file, absolute_path, absolute_storage
from bissl_ray.sweep.outcome import SweepOutcome, View, outcome_of
from bissl_ray.workers import environment


class _Quiet:
    """Shows nothing."""

    def update(self, progress: SweepProgress) -> None:
        return

    def note(self, line: str) -> None:
        return


def prepare_request(
    dataset: str | None = None,
    *,
    space: str | Path | SearchSpace | None = None,
    overrides: Mapping[str, Any] | None = None,
    name: str | None = None,
    data_dir: str | Path | None = None,
    splits_dir: str | Path | None = None,
    pretext_dataset: str | None = None,
    pretext_data_dir: str | Path | None = None,
    pretrained: str | Path | None = None,
    pretrained_head: str | Path | None = None,
    allow_partial: bool = False,
    workers_per_trial: int = 1,
) -> SweepRequest:
    """Turn what a person asked for into a validated request; nothing is written.

    Args:
        dataset: name of a dataset; None takes the space's.
        space: search-space file or name; None takes the dataset's own. A resolved space is taken as it is.
        overrides: has the last word over a space that is loaded, in the shape of a space file.
        name: of the sweep; None makes one from the dataset and the time.
        data_dir: folder of the dataset.
        splits_dir: folder of published index files (NAME_train_split.txt, NAME_val_split.txt).
        pretext_dataset: whose images the lower level sees, such as "imagenet"; None: the dataset's own.
        pretext_data_dir: folder of the pretext's dataset; None: `data_dir`.
        pretrained: self-supervised checkpoint, a path or a URI.
        pretrained_head: file of its pretext head, if that is neither in it nor beside it.
        allow_partial: take what of the checkpoint fits the backbone, and keep fresh weights for the rest.
        workers_per_trial: worker processes that share one trial.

    Raises:
        BadInputError: anything wrong.
    """
    if dataset is not None:
        get_dataset(dataset)
    resolved = space if isinstance(space, SearchSpace) else load_search_space(space or dataset or "digits", overrides)
    chosen = dataset or resolved.dataset
    get_dataset(chosen)
    check_pretext_flags(pretext_dataset, pretext_data_dir)
    check_reading_flags("--pretrained", pretrained, pretrained_head, allow_partial)
    check_worker_count("--workers-per-trial", workers_per_trial)
    if name is None:
        name = f"{chosen}-{datetime.now():%Y%m%d-%H%M%S}"
    return SweepRequest(
        name=check_name("sweep", name),
        dataset=chosen,
        data_dir=absolute_path(data_dir),
        splits_dir=absolute_path(splits_dir),
        pretext_dataset=pretext_dataset,
        pretext_data_dir=absolute_path(pretext_data_dir),
        split_seed=resolved.protocol.seed,
        pretrained=absolute_file(pretrained),
        pretrained_head=absolute_file(pretrained_head),
        allow_partial=allow_partial,
        workers_per_trial=workers_per_trial,
        space=tuned_once(resolved),
    )


def run_sweep(
    dataset: str | None = None,
    *,
    storage: str | Path = "./runs",
    space: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    name: str | None = None,
    data_dir: str | Path | None = None,
    splits_dir: str | Path | None = None,
    pretext_dataset: str | None = None,
    pretext_data_dir: str | Path | None = None,
    pretrained: str | Path | None = None,
    pretrained_head: str | Path | None = None,
    allow_partial: bool = False,
    pretrain: bool = False,
    workers_per_trial: int = 1,
    address: str | None = None,
    budget: str | None = None,
    splits_optional: bool = False,
    view: View | None = None,
) -> SweepOutcome:
    """Search, confirm and test: BiSSL's hyperparameters for one dataset, and plain fine-tuning as its control.

    Args:
        dataset: name of a dataset; None: digits, which needs no download.
        storage: folder or URI (s3://...) for the results.
        space: search-space file or name; None takes the dataset's own.
        overrides: has the last word over the space, in the shape of a space file, such as
            `{"protocol": {"trials": 8}}`.
        name: of the sweep; None makes one from the dataset and the time.
        data_dir: folder of the dataset.
        splits_dir: folder of published index files (NAME_train_split.txt, NAME_val_split.txt).
        pretext_dataset: whose images the lower level sees, such as "imagenet"; None: the dataset's own.
        pretext_data_dir: folder of the pretext's dataset; None: `data_dir`.
        pretrained: self-supervised checkpoint (.pth, .pt, .safetensors), a path or a URI.
        pretrained_head: file of its pretext head, if that is neither in it nor beside it.
        allow_partial: take what of the checkpoint fits the backbone, and keep fresh weights for the rest.
        pretrain: pretrain on the dataset's own images where no checkpoint is given.
        workers_per_trial: worker processes that share one trial; a GPU each where there are GPUs.
        address: of a running Ray cluster ("auto", "host:port"); None takes RAY_ADDRESS, else starts one here.
        budget: limit on exploring, such as "2h" or "40gpuh".
        splits_optional: whether `splits_dir` may be without files of this dataset, whose split is then as published or
            drawn.
        view: shows progress; None shows nothing.

    Returns:
        How it ended. Results: `bissl_ray.load_trials(storage)`.

    Raises:
        BadInputError: anything wrong with the input; nothing was started.
        KeyboardInterrupt: a second Ctrl-C.

    Example:
        >>> from bissl_ray import run_sweep, load_trials
        >>> outcome = run_sweep("digits", overrides={"protocol": {"trials": 4}})  # doctest: +SKIP
        >>> load_trials(outcome.storage).to_pandas()  # doctest: +SKIP
    """
    request = prepare_request(
        dataset,
        space=space,
        overrides=overrides,
        name=name,
        data_dir=data_dir,
        splits_dir=splits_dir,
        pretext_dataset=pretext_dataset,
        pretext_data_dir=pretext_data_dir,
        pretrained=pretrained,
        pretrained_head=pretrained_head,
        allow_partial=allow_partial,
        workers_per_trial=workers_per_trial,
    )
    return begin_sweep(
        request,
        storage=storage,
        pretrain=pretrain,
        address=address,
        budget=budget,
        splits_optional=splits_optional,
        view=view,
    )


def begin_sweep(
    request: SweepRequest,
    *,
    storage: str | Path = "./runs",
    pretrain: bool = False,
    address: str | None = None,
    budget: str | None = None,
    splits_optional: bool = False,
    view: View | None = None,
) -> SweepOutcome:
    """Run a new sweep as `prepare_request` put it; the rest as for `run_sweep`.

    Raises:
        BadInputError: anything wrong with the input; nothing was started.
    """
    limit = None if budget is None else parse_budget(budget)
    place = absolute_storage(storage)
    check_writable(place)
    check_new(request.name, storage)
    return _run(request, place, {"pretrain": pretrain}, address, limit, view or _Quiet(), splits_optional)


def check_new(name: str, storage: str | Path) -> None:
    """Make sure that a storage holds no sweep of that name yet (raises BadInputError)."""
    if name in sweep_names(absolute_storage(storage)):
        raise BadInputError(
            f"there is a sweep {name!r} in {storage} already: go on with `bissl-ray resume {name}`, or choose another "
            "--name"
        )


def resume_sweep(
    name: str,
    *,
    storage: str | Path = "./runs",
    trials: int | None = None,
    address: str | None = None,
    budget: str | None = None,
    folders: Mapping[str, str | None] | None = None,
    view: View | None = None,
) -> SweepOutcome:
    """Finish a sweep that was interrupted, or extend a finished one.

    Args:
        name: of the sweep.
        storage: where it is.
        folders: where data lie that have moved since, by data_dir, splits_dir and pretext_data_dir; None: they haven't.
        trials: explore trials in all from now on; None as asked for before.
        address: as for `run_sweep`; need not be the same cluster.
        budget: as for `run_sweep`, from now on.
        view: shows progress.

    Raises:
        BadInputError: there is no such sweep, or fewer trials are asked for than it has.
    """
    limit = None if budget is None else parse_budget(budget)
    place = absolute_storage(storage)
    document = read_sweep_document(place, name)
    check_writable(place)
    moved = {place: absolute_path(at) for place, at in (folders or {}).items() if at is not None}
    request = read_request(document, name).model_copy(update=moved)
    if trials is not None:
        planned = request.space.protocol.trials
        if trials < planned:
            raise BadInputError(f"--trials {trials}: the sweep was asked for {planned} already; expected more")
        if trials > planned and not request.space.parameters:
            raise BadInputError(
                f"--trials {trials}: sweep {name} searches nothing, so all its trials would be the same"
            )
        protocol = request.space.protocol.model_copy(update={"trials": trials})
        space = request.space.model_copy(update={"protocol": protocol})
        request = request.model_copy(update={"space": space})
    planner, _ = planner_of(request, place)
    if is_finished(planner):
        return outcome_of(request.name, place, planner)
    return _run(request, place, document, address, limit, view or _Quiet())


def read_request(document: Mapping[str, Any], name: str) -> SweepRequest:
    """Read what a sweep was asked for.

    Args:
        document: its sweep.json.
        name: of the sweep.

    Raises:
        BadInputError: another release wrote it.
    """
    try:
        return SweepRequest.model_validate(document["request"])
    except (KeyError, ValidationError) as error:
        raise BadInputError(
            f"sweep {name} was written by another release, whose sweep.json this one can't read "
            f"({' '.join(str(error).split())[:120]}): resume it with that release, or begin a new sweep"
        ) from error


def _run(
    request: SweepRequest,
    storage: str,
    document: Mapping[str, Any],
    address: str | None,
    budget: Budget | None,
    view: View,
    splits_optional: bool = False,
) -> SweepOutcome:
    address = address or os.environ.get("RAY_ADDRESS") or None
    environment.prepare(address)
    from bissl_ray.sweep.session import run_session

    return run_session(request, storage, document, address, budget, view, splits_optional)
