"""What the flags of a stage say of its dataset without naming it: by a trial, a checkpoint or a space."""

from dataclasses import fields
from typing import Any

from bissl_ray.config import load_search_space
from bissl_ray.config.data_choice import USED, DataPlaces
from bissl_ray.config.making import says_how
from bissl_ray.config.options import StageOptions
from bissl_ray.config.requests import StageName
from bissl_ray.leaderboard import find_trial
from bissl_ray.preflight.checkpoints import read_checkpoint
from bissl_ray.preflight.requests import checkpoint_choice


def stated(stage: StageName, asked: StageOptions) -> tuple[str | None, frozenset[str]]:
    """Find out the dataset, and what else comes from the trial or the checkpoint.

    Args:
        stage: which.
        asked: as typed.

    Returns:
        The dataset, None where nothing tells; and the fields of the options that are not open any more, since the
        sweep of the trial, or the checkpoint, says them.

    Raises:
        BadInputError: there is no such trial, space or file.
    """
    if asked.from_trial is not None:
        sweep, _, trial = asked.from_trial.rpartition("/")
        dataset = str(find_trial(asked.storage, trial, sweep or None)[0]["dataset"])
        elsewhere = asked.dataset not in (None, dataset)
        data = () if elsewhere else [each.name for each in fields(DataPlaces)]
        again = ("start", "start_head", "allow_partial", "workers") if runs_again(stage, asked) else ()
        return dataset, frozenset({"space", *data, *again})
    if stage == "evaluate" and asked.space is None and asked.point is None:
        made = _made(asked)
        if says_how(made):
            return made.get("dataset"), frozenset({"space", "splits_dir", *USED})
    if asked.space is not None:
        return load_search_space(asked.space).dataset, frozenset()
    return None if asked.dataset is not None else _made(asked).get("dataset"), frozenset()


def runs_again(stage: StageName, asked: StageOptions) -> bool:
    """Whether a trial is run again: its settings are asked for, and no other start."""
    return stage == "train" and asked.from_trial is not None and asked.start is None


def _made(asked: StageOptions) -> dict[str, Any]:
    choice = checkpoint_choice("--start", asked.start, None, False)
    return {} if choice is None else dict(read_checkpoint(choice).metadata)
