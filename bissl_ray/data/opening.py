"""From a choice of data to its splits, read and checked."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

from bissl_ray.config.data_choice import DataChoice
from bissl_ray.data.checks.targets import check_targets
from bissl_ray.data.datasets.registry import get_dataset
from bissl_ray.data.spec import DatasetSplits, SplitChoice
from bissl_ray.errors import BadInputError


def open_data(choice: DataChoice) -> DatasetSplits:
    """Read and split a dataset.

    Raises:
        BadInputError: not there, incomplete, damaged, or targets that don't fit; or the pretext might see images that
            are for validation or test; or more labels or images are asked for than there are.
    """
    # It takes numpy; the registry costs nothing.
    from bissl_ray.data.few_labels import with_another_draw, with_few_labels, with_few_unlabelled

    spec, pretext_spec = get_dataset(choice.dataset), get_dataset(choice.pretext)
    _refuse_a_second_folder(choice)
    whole = spec.open(_path(choice.data_dir), SplitChoice(choice.split_seed, _path(choice.splits_dir)))
    check_targets(whole, spec)
    splits = with_few_labels(whole, spec, choice)
    if choice.pretext != choice.dataset:
        splits = _with_pretext_of(choice, splits)
    splits = with_few_unlabelled(splits, whole, pretext_spec, choice)
    return with_another_draw(splits, whole, spec, choice)


def _with_pretext_of(choice: DataChoice, splits: DatasetSplits) -> DatasetSplits:
    """The splits with the pool of the pretext's dataset."""
    spec, pretext_spec = get_dataset(choice.dataset), get_dataset(choice.pretext)
    other = pretext_spec.open(_path(choice.pretext_data_dir or choice.data_dir), SplitChoice(choice.split_seed))
    if spec.classes is None and pretext_spec.classes is None:
        _refuse_shared_images(choice, splits, other)
    both, seen = (
        hashlib.sha256(f"{own} pretext {other.fingerprint}".encode()).hexdigest()
        for own in (splits.fingerprint, splits.of_pretext)
    )
    return replace(splits, pretext=other.pretext, fingerprint=both, pretext_fingerprint=seen)


def _refuse_a_second_folder(choice: DataChoice) -> None:
    folders = (choice.data_dir, choice.pretext_data_dir)
    if choice.pretext_dataset != choice.dataset or get_dataset(choice.dataset).embedded or None in folders:
        return
    own, second = (Path(str(path)).expanduser().resolve() for path in folders)
    if own != second:
        raise BadInputError(
            f"--pretext-data-dir {choice.pretext_data_dir}: {choice.dataset} itself lies in {choice.data_dir}, and "
            "another folder of it may hold its test images; leave it out, or name two folders of your own apart: "
            "--dataset folder-a --pretext-dataset folder-b"
        )


def _refuse_shared_images(choice: DataChoice, splits: DatasetSplits, other: DatasetSplits) -> None:
    """Two names for folders of a person's own may lead to one folder, whose splits they draw differently."""
    held = {
        os.path.realpath(source.name(index))
        for source in (splits.validation, splits.test)
        for index in range(len(source))
    }
    for index in range(len(other.pretext)):
        if os.path.realpath(other.pretext.name(index)) in held:
            raise BadInputError(
                f"--pretext-dataset {choice.pretext_dataset}: {other.pretext.name(index)} is a validation or test "
                f"image of {choice.dataset}; leave it out to take the images that {choice.dataset} is trained on"
            )


def _path(path: str | None) -> Path | None:
    return None if path is None else Path(path)
