"""Splits published as text files, NAME_train_split.txt and NAME_val_split.txt, an index a line (PAPER)."""

from pathlib import Path

import numpy as np

from bissl_ray.data.splits import Indices
from bissl_ray.errors import BadInputError


def split_paths(folder: Path, name: str) -> tuple[Path, Path]:
    """Where a dataset's two index files lie: of training and of validation."""
    return folder / f"{name}_train_split.txt", folder / f"{name}_val_split.txt"


def holds_split(folder: Path, name: str) -> bool:
    """Whether a folder has index files of a dataset, or one of the two."""
    return any(path.is_file() for path in split_paths(folder, name))


def no_split(folder: Path, name: str, validation_from: str) -> BadInputError:
    """The refusal of a folder without a dataset's index files; last, where validation comes from without them."""
    train, validation = split_paths(folder, name)
    return BadInputError(
        f"--splits-dir {folder} has neither {train.name} nor {validation.name}: put them there, or leave it out; "
        f"validation is then {validation_from}"
    )


def read_split(folder: Path, name: str, count: int) -> tuple[Indices, Indices] | None:
    """Read a dataset's two index files.

    Args:
        folder: where they lie.
        name: of the dataset.
        count: images of its training set, which the indices count from 0.

    Returns:
        Indices of training and of validation, each ascending; None where the folder has neither file.

    Raises:
        BadInputError: the folder or one of the files is missing; a line is no index, out of range, or occurs twice,
            in either; a part is empty.
    """
    if not folder.is_dir():
        raise BadInputError(f"--splits-dir {folder} is no folder; expected one with files as {name}_train_split.txt")
    train, validation = split_paths(folder, name)
    present = [path for path in (train, validation) if path.is_file()]
    if not present:
        return None
    if len(present) == 1:
        missing = validation if present[0] == train else train
        raise BadInputError(f"{missing} is missing beside {present[0].name}: put it there, or take both away")
    first_seen: dict[int, str] = {}
    return _indices(train, count, first_seen), _indices(validation, count, first_seen)


def _indices(path: Path, count: int, first_seen: dict[int, str]) -> Indices:
    """Read one file; `first_seen` tells where each index stood first, in both files together."""
    indices = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path}: can't be read as text ({error}); expected one index a line") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"{path}, line {number}"
        if not line.strip().isascii() or not line.strip().isdigit():
            raise BadInputError(f"{place}: found {line.strip()[:40]!r}, expected the index of a training image, from 0")
        index = int(line)
        if index >= count:
            raise BadInputError(
                f"{place}: found index {index}, expected at most {count - 1}: the training set has {count} images; "
                "take the files that belong to this data"
            )
        if index in first_seen:
            raise BadInputError(f"{place}: index {index} occurs twice, first in {first_seen[index]}; remove one")
        first_seen[index] = f"{path.name}, line {number}"
        indices.append(index)
    if not indices:
        raise BadInputError(f"{path} holds no index; expected one training-set index a line")
    return np.sort(np.asarray(indices, dtype=np.int64))
