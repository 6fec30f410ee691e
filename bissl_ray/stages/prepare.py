"""From what a person typed to a validated request for a stage; nothing is written."""

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from bissl_ray.config import load_search_space
from bissl_ray.config.columns import settings_of_row
from bissl_ray.config.data_choice import USED, DataChoice, DataPlaces
from bissl_ray.config.making import says_how
from bissl_ray.config.options import StageOptions
from bissl_ray.config.parameters import SettingValue
from bissl_ray.config.requests import StageName, StageRequest, Way
from bissl_ray.config.resolved import ResolvedSettings, override, parse_assignments, resolve_settings
from bissl_ray.config.settings import of_any_release
from bissl_ray.data import get_dataset
from bissl_ray.data.files.split_files import holds_split
from bissl_ray.errors import BadInputError
from bissl_ray.leaderboard import find_trial
from bissl_ray.preflight.requests import check_worker_count, checkpoint_choice, data_choice
from bissl_ray.preflight.sources.address import named
from bissl_ray.stages.again import stored_trial, sweep_of_trial
from bissl_ray.stages.stated import runs_again
from bissl_ray.store import check_name

_LARGEST_SEED: Final = 2**32 - 1


def prepare_stage(
    stage: StageName,
    asked: StageOptions,
    *,
    control_budget: bool = False,
    split: str = "validation",
    ways: tuple[Way, ...] = (),
    pictures: int = 0,
) -> tuple[StageRequest, ResolvedSettings]:
    """Work out what a stage is asked to do.

    Args:
        stage: which.
        asked: as typed.
        control_budget: of fine-tuning.
        split: of evaluation.
        ways: of evaluation.
        pictures: of evaluation.

    Returns:
        The request, and its settings with their origins.

    Raises:
        BadInputError: anything wrong with what was typed.
    """
    if asked.dataset is not None:
        get_dataset(asked.dataset)
    data_choice(asked, asked.dataset or "digits", 0)
    start = checkpoint_choice("--start", asked.start, asked.start_head, asked.allow_partial)
    if asked.workers is not None:
        check_worker_count("--workers", asked.workers)
    if asked.seed is not None and not 0 <= asked.seed <= _LARGEST_SEED:
        raise BadInputError(f"--seed {asked.seed}: expected 0 to {_LARGEST_SEED}")
    resolved, made = _source(stage, asked, parse_assignments(asked.assignments or ()))
    again = stored_trial(asked.storage, str(asked.from_trial)) if runs_again(stage, asked) else None
    if again is not None and asked.dataset not in (None, again.dataset):
        raise BadInputError(
            f"--dataset {asked.dataset}: {again.name} was on {again.dataset}, and is run again on that; leave it out, "
            "or give --start FILE, to take its settings alone"
        )
    dataset = asked.dataset or made.dataset
    get_dataset(dataset)
    name = asked.name or f"{dataset}-{stage}-{datetime.now():%Y%m%d-%H%M%S}"
    places = {each.name: getattr(asked, each.name) or getattr(made, each.name) for each in fields(DataPlaces)}
    request = StageRequest(
        name=check_name("stage run", name),
        stage=stage,
        data=data_choice(DataPlaces(**places), dataset, made.split_seed),
        settings=resolved.settings,
        origins=dict(resolved.origins),
        seed=(0 if again is None else again.seed) if asked.seed is None else asked.seed,
        workers=asked.workers or (1 if again is None else again.workers),
        start=start,
        again=None if again is None else again.name,
        control_budget=control_budget,
        split=split,
        ways=ways,
        pictures=pictures,
    )
    return request, resolved


def _source(
    stage: StageName, asked: StageOptions, assignments: dict[str, SettingValue]
) -> tuple[ResolvedSettings, DataChoice]:
    """The settings, from a space, a sweep's trial or a checkpoint, and what is known there of the data."""
    if asked.from_trial is not None:
        if asked.space is not None or asked.point is not None:
            raise BadInputError("--from-trial gives every setting: leave --space and --point out")
        return _of_trial(asked, assignments)
    if stage == "evaluate" and asked.start is not None and asked.space is None and asked.point is None:
        made = _of_checkpoint(asked, assignments)
        if made is not None:
            return made
    # Which pretext task it is decides which known-good points there are.
    overrides = {"fixed": {"pretext": assignments["pretext"]}} if "pretext" in assignments else None
    space = load_search_space(asked.space or asked.dataset or _metadata(asked).get("dataset") or "digits", overrides)
    return resolve_settings(space, assignments, asked.point), DataChoice(space.dataset, space.protocol.seed)


def _metadata(asked: StageOptions) -> Mapping[str, Any]:
    """What a checkpoint of ours says of how it was made; nothing for any other file, or none."""
    from bissl_ray.preflight.checkpoints import read_checkpoint

    choice = checkpoint_choice("--start", asked.start, None, False)
    return {} if choice is None else read_checkpoint(choice).metadata


def _of_trial(asked: StageOptions, assignments: dict[str, SettingValue]) -> tuple[ResolvedSettings, DataChoice]:
    """The settings of a sweep's trial, named "SWEEP/TRIAL", or "TRIAL" where one sweep alone has it."""
    sweep, _, trial = str(asked.from_trial).rpartition("/")
    row, _ = find_trial(asked.storage, trial, sweep or None)
    settings = settings_of_row(row)
    data = sweep_of_trial(asked.storage, str(asked.from_trial), row).request.data
    dataset, splits_dir = asked.dataset or data.dataset, data.splits_dir
    # A sweep that was one of several may have had a folder with files of the others alone; another dataset than the
    # sweep's has its files elsewhere.
    may_lack = dataset != data.dataset or (splits_dir is not None and Path(splits_dir).is_dir())
    if splits_dir is not None and may_lack and not holds_split(Path(splits_dir), dataset):
        splits_dir = None
    resolved = ResolvedSettings.of(settings, f"trial {row['sweep']}/{trial}")
    return override(resolved, assignments), replace(data, splits_dir=splits_dir)


def _of_checkpoint(
    asked: StageOptions, assignments: dict[str, SettingValue]
) -> tuple[ResolvedSettings, DataChoice] | None:
    """What a checkpoint of ours says of how it was made; None for any other file."""
    made = _metadata(asked)
    if not says_how(made):
        return None
    origin = f"made so: {Path(str(named(asked.start))).name}"
    resolved = override(ResolvedSettings.of(of_any_release(made["settings"]), origin), assignments)
    dataset, splits_dir = made["dataset"], made.get("splits_dir")
    # Without the files the split is another, which is said when the fingerprints are compared.
    if splits_dir is not None and not holds_split(Path(splits_dir), asked.dataset or dataset):
        splits_dir = None
    used = {name: made.get(name) for name in USED} if asked.dataset in (None, dataset) else {}
    return resolved, DataChoice(dataset, made.get("split_seed", 0), splits_dir=splits_dir, **used)
