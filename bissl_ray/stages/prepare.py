"""From what a person typed to a validated request; nothing is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import NoneType
from typing import Any, get_args

from pydantic import ValidationError

from bissl_ray.config import load_search_space
from bissl_ray.config.parameters import SettingValue
from bissl_ray.config.requests import SweepRequest
from bissl_ray.config.resolved import ResolvedSettings, override, parse_assignments, resolve_settings
from bissl_ray.config.settings import Settings
from bissl_ray.data import get_dataset
from bissl_ray.data.files.split_files import holds_split
from bissl_ray.errors import BadInputError
from bissl_ray.leaderboard import find_trial
from bissl_ray.preflight.requests import check_pretext_flags, check_reading_flags, check_worker_count
from bissl_ray.stages.request import StageName, StageRequest, Way
from bissl_ray.store import check_name, read_sweep_document
from bissl_ray.store.paths import absolute_file, absolute_path

_LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True)
class StageFlags:
    """What the verbs of the stages have in common, as it was typed.

    Attributes:
        dataset: a dataset's name; None: that of the space, trial or checkpoint that the settings come from.
        data_dir: folder of the dataset.
        splits_dir: folder of published index files.
        space: search-space file or name; None: the dataset's own.
        point: number of the known-good point, from 1; None: the first.
        from_trial: "SWEEP/TRIAL" or "TRIAL" to take the settings from, instead of a space.
        assignments: of ``--set``.
        seed: of heads, order and augmentations.
        workers: worker processes.
        address: of a Ray cluster to join.
        storage: folder or URI.
        name: of the run; None makes one from dataset, stage and time.
        dry_run: whether to show the settings and start nothing.
        start: checkpoint to start from.
        start_head: file of its pretext head; None: in it, beside it, or none.
        allow_partial: whether the checkpoint may fill only a part of the backbone.
        pretext_dataset: whose images the lower level sees; None: the dataset's own.
        pretext_data_dir: folder of that; None: `data_dir`.
    """

    dataset: str | None = None
    data_dir: str | None = None
    splits_dir: str | None = None
    space: str | None = None
    point: int | None = None
    from_trial: str | None = None
    assignments: Sequence[str] | None = None
    seed: int = 0
    workers: int = 1
    address: str | None = None
    storage: str = "./runs"
    name: str | None = None
    dry_run: bool = False
    start: str | None = None
    start_head: str | None = None
    allow_partial: bool = False
    pretext_dataset: str | None = None
    pretext_data_dir: str | None = None


@dataclass(frozen=True)
class _Source:
    """Where the settings come from: a space, a sweep's trial or a checkpoint, and what else is known there."""

    resolved: ResolvedSettings
    dataset: str
    split_seed: int
    splits_dir: str | None = None
    sweep: SweepRequest | None = None

    def place(self, name: str) -> str | None:
        """Where a sweep's data lie, or which its pretext sees; None where there is no sweep to ask."""
        found: str | None = getattr(self.sweep, name, None)
        return found


def prepare_stage(
    stage: StageName,
    flags: StageFlags,
    *,
    control_budget: bool = False,
    split: str = "validation",
    ways: tuple[Way, ...] = (),
) -> tuple[StageRequest, ResolvedSettings]:
    """Work out what a stage is asked to do.

    Args:
        stage: which.
        flags: as typed.
        control_budget: of fine-tuning.
        split: of evaluation.
        ways: of evaluation.

    Returns:
        The request, and its settings with their origins.

    Raises:
        BadInputError: anything wrong with what was typed.
    """
    if flags.dataset is not None:
        get_dataset(flags.dataset)
    check_pretext_flags(flags.pretext_dataset, flags.pretext_data_dir)
    check_reading_flags("--start", flags.start, flags.start_head, flags.allow_partial)
    check_worker_count("--workers", flags.workers)
    if not 0 <= flags.seed <= _LARGEST_SEED:
        raise BadInputError(f"--seed {flags.seed}: expected 0 to {_LARGEST_SEED}")
    source = _source(stage, flags, parse_assignments(flags.assignments or ()))
    dataset = flags.dataset or source.dataset
    get_dataset(dataset)
    name = flags.name or f"{dataset}-{stage}-{datetime.now():%Y%m%d-%H%M%S}"
    request = StageRequest.model_validate(
        {
            "name": check_name("stage run", name),
            "stage": stage,
            "dataset": dataset,
            "data_dir": absolute_path(flags.data_dir) or source.place("data_dir"),
            "split_seed": source.split_seed,
            "splits_dir": absolute_path(flags.splits_dir) or source.splits_dir,
            "pretext_dataset": flags.pretext_dataset or source.place("pretext_dataset"),
            "pretext_data_dir": absolute_path(flags.pretext_data_dir) or source.place("pretext_data_dir"),
            "settings": source.resolved.settings.model_dump(),
            "origins": dict(source.resolved.origins),
            "seed": flags.seed,
            "workers": flags.workers,
            "start": absolute_file(flags.start),
            "start_head": absolute_file(flags.start_head),
            "allow_partial": flags.allow_partial,
            "control_budget": control_budget,
            "split": split,
            "ways": ways,
        }
    )
    return request, source.resolved


def _source(stage: StageName, flags: StageFlags, assignments: dict[str, SettingValue]) -> _Source:
    if flags.from_trial is not None:
        if flags.space is not None or flags.point is not None:
            raise BadInputError("--from-trial gives every setting: leave --space and --point out")
        return _of_trial(flags, assignments)
    if stage == "evaluate" and flags.start is not None and flags.space is None and flags.point is None:
        made = _of_checkpoint(flags, assignments)
        if made is not None:
            return made
    # Which pretext task it is decides which known-good points there are.
    asked = {"fixed": {"pretext": assignments["pretext"]}} if "pretext" in assignments else None
    space = load_search_space(flags.space or flags.dataset or _made_on(flags) or "digits", asked)
    return _Source(resolve_settings(space, assignments, flags.point), space.dataset, space.protocol.seed)


def _made_on(flags: StageFlags) -> str | None:
    """The dataset that a checkpoint of ours was made on; None for any other file, or none."""
    from bissl_ray.preflight.checkpoints import read_checkpoint

    if flags.start is None:
        return None
    made: str | None = read_checkpoint(str(absolute_file(flags.start))).metadata.get("dataset")
    return made


def _of_trial(flags: StageFlags, assignments: dict[str, SettingValue]) -> _Source:

    trial = trial_of_sweep(flags.storage, str(flags.from_trial))
    request = trial.request
    dataset, splits_dir = flags.dataset or request.dataset, request.splits_dir
    # A sweep that was one of several may have had a folder with files of the others alone; another dataset than the
    # sweep's has its files elsewhere.
    may_lack = dataset != request.dataset or (splits_dir is not None and Path(splits_dir).is_dir())
    if splits_dir is not None and may_lack and not holds_split(Path(splits_dir), dataset):
        splits_dir = None
    resolved = override(trial.resolved, assignments)
    return _Source(resolved, request.dataset, request.split_seed, splits_dir, request)


def _of_checkpoint(flags: StageFlags, assignments: dict[str, SettingValue]) -> _Source | None:
    """What a checkpoint of ours says of how it was made; None for any other file."""
    from bissl_ray.preflight.checkpoints import read_checkpoint

    made = read_checkpoint(str(absolute_file(flags.start))).metadata
    if "settings" not in made:
        return None
    origin = f"made so: {Path(str(flags.start)).name}"
    resolved = override(ResolvedSettings.of(made["settings"], origin), assignments)
    dataset, splits_dir = made["dataset"], made.get("splits_dir")
    # Without the files the split is another, which is said when the fingerprints are compared.
    if splits_dir is not None and not holds_split(Path(splits_dir), flags.dataset or dataset):
        splits_dir = None
    return _Source(resolved, dataset, made.get("split_seed", 0), splits_dir)


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
