"""Flags that the sweep and the stages share, refused in the same words."""

from pathlib import Path

from bissl_ray.data import get_dataset
from bissl_ray.errors import BadInputError


def check_pretext_flags(dataset: str | None, data_dir: str | Path | None) -> None:
    """Make sure that the pretext's dataset is known, and its folder given only beside it (raises BadInputError)."""
    if dataset is not None:
        get_dataset(dataset)
    elif data_dir is not None:
        raise BadInputError(f"--pretext-data-dir {data_dir} needs --pretext-dataset NAME beside it")


def check_reading_flags(file_flag: str, file: object, head: object, allow_partial: bool) -> None:
    """Make sure that how a checkpoint is read is said of a checkpoint.

    Args:
        file_flag: the flag that gives one, "--start" or "--pretrained"; its head's is named after it.
        file: the checkpoint; None: none was given.
        head: file of its pretext head; None: none was given.
        allow_partial: whether it may fill only a part of the backbone.

    Raises:
        BadInputError: one of the two was given, and no checkpoint.
    """
    if file is None and (head is not None or allow_partial):
        flag = "--allow-partial" if head is None else f"{file_flag}-head"
        raise BadInputError(f"{flag} says how a checkpoint is read, and none was given: add {file_flag} FILE")


def check_worker_count(flag: str, workers: int) -> None:
    """Make sure that there is at least one worker (raises BadInputError)."""
    if workers < 1:
        raise BadInputError(f"{flag} {workers}: expected 1 or more")
