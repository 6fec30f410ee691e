"""What is refused of a request by itself: flags that don't go together, batches that the workers can't share."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from itertools import product
from pathlib import Path
from typing import Any, Final

from bissl_ray.config.data_choice import DataChoice, DataPlaces
from bissl_ray.config.requests import CheckpointChoice
from bissl_ray.data import get_dataset
from bissl_ray.errors import BadInputError
from bissl_ray.preflight.sources.address import named
from bissl_ray.training.order import batches_of


def data_choice(folders: DataPlaces, dataset: str, split_seed: int) -> DataChoice:
    """The data that were asked for, with absolute paths.

    Args:
        folders: where they lie, as it was typed.
        dataset: a name in the registry.
        split_seed: of the split, where it is drawn.

    Raises:
        BadInputError: the pretext's dataset is not known, or its folder was given without it.
    """
    if folders.pretext_dataset is not None:
        get_dataset(folders.pretext_dataset)
    elif folders.pretext_data_dir is not None:
        raise BadInputError(f"--pretext-data-dir {folders.pretext_data_dir} needs --pretext-dataset NAME beside it")
    given = {each.name: getattr(folders, each.name) for each in fields(DataPlaces)}
    return DataChoice(dataset, split_seed, **given).absolute()


def checkpoint_choice(
    flag: str, file: str | Path | None, head: str | Path | None, allow_partial: bool
) -> CheckpointChoice | None:
    """The checkpoint that was asked for, with absolute paths; None where none was.

    Args:
        flag: that gives one, "--start" or "--pretrained"; its head's is named after it.
        file: the checkpoint.
        head: file of its pretext head; None: none was given.
        allow_partial: whether it may fill only a part of the backbone.

    Raises:
        BadInputError: how a checkpoint is read was said, and none was given.
    """
    if file is not None:
        return CheckpointChoice(file=str(named(file)), head=named(head), allow_partial=allow_partial)
    if head is not None or allow_partial:
        said = "--allow-partial" if head is None else f"{flag}-head"
        raise BadInputError(f"{said} says how a checkpoint is read, and none was given: add {flag} FILE")
    return None


def check_worker_count(flag: str, workers: int) -> None:
    """Make sure that there is at least one worker (raises BadInputError)."""
    if workers < 1:
        raise BadInputError(f"{flag} {workers}: expected 1 or more")


CURVATURE: Final = ("lower_batch", "curvature_batch", "curvature_chunks")
"""The settings that say which images the curvature is taken on, in how many parts."""


def check_shares(
    possible: Mapping[str, Sequence[Any]], stages: Collection[str], workers: int, flag: str = "--workers-per-trial"
) -> None:
    """Refuse batches, and parts of the curvature batch, that the workers couldn't share equally.

    Args:
        possible: the values that each setting may take, of all that `batches_of(stages)` and `CURVATURE` name.
        stages: that will run.
        workers: that share them.
        flag: what asked for so many, for error lines.

    Raises:
        BadInputError: names the setting and what would fit.
    """
    sharers = "one worker" if workers == 1 else f"{workers} workers"
    for name in batches_of(stages):
        for batch in possible[name]:
            if batch % workers:
                raise BadInputError(
                    f"{name} is {batch}{_in_some_trials(possible, name)}, which {sharers} can't share equally: make it "
                    f"a multiple of {workers}, or change {flag}"
                )
    if "bissl" not in stages:
        return
    for lower_batch, curvature_batch, chunks in product(*(possible[name] for name in CURVATURE)):
        images = lower_batch if curvature_batch is None else curvature_batch
        if images % (workers * chunks):
            share = "share equally" if chunks == 1 else f"cut into {chunks} equal parts{' each' if workers > 1 else ''}"
            raise BadInputError(
                f"the curvature is taken on {images} images{_in_some_trials(possible, *CURVATURE)}, which {sharers} "
                f"can't {share}: make curvature_batch a multiple of {workers * chunks}, or change curvature_chunks or "
                f"{flag}"
            )


def _in_some_trials(possible: Mapping[str, Sequence[Any]], *names: str) -> str:
    """What to add where the value is one of several that the search may take."""
    several = [name for name in names if len(possible[name]) > 1]
    return f" in some trials (list the values of {' and '.join(several)} that fit, as categorical)" if several else ""
