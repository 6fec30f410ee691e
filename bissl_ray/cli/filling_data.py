"""What is said once of datasets: whether they are there, and which folders have nothing of them."""

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bissl_ray.config.data_choice import FOLDERS, DataChoice
from bissl_ray.config.said_once import Said, SaidOnce
from bissl_ray.errors import BadInputError


def check_datasets(said: SaidOnce) -> None:
    """Make sure that there is every dataset that something is said of, or that is said (raises BadInputError)."""
    from bissl_ray.data import get_dataset

    named = [(values[0].origin, f"[datasets.{dataset}]", dataset) for dataset, values in said.datasets.items()]
    found = [each for each in said.every if each.key in ("dataset", "pretext-dataset") and each.value is not None]
    named += [(each.origin, each.key, each.value) for each in found]
    for origin, what, dataset in named:
        try:
            get_dataset(dataset)
        except BadInputError as error:
            raise BadInputError(f"{origin}: {what}: {error}") from None


def is_embedded(dataset: str | None) -> bool:
    """Whether a dataset comes with the program, and lies in no folder."""
    from bissl_ray.data import get_dataset

    return dataset is not None and get_dataset(dataset).embedded


def if_it_has_a_split(said: Said, dataset: str | None) -> Said:
    """What is said; of a folder of index files for all datasets, nothing where it has none of this one."""
    if said.key != "splits-dir" or None in (said.value, dataset) or said.dataset is not None:
        return said
    from bissl_ray.data.files.split_files import holds_split

    folder = Path(said.value)
    if holds_split(folder, str(dataset)) or not folder.is_dir():
        return said
    return replace(said, value=None, origin=f"{said.origin} names {folder}, which has no index files of {dataset}")


def staying(data: DataChoice, find: Callable[[str, str], Said | None], what: str) -> list[str]:
    """Lines on folders that are said otherwise now than when something began: where the data are, that decides.

    Args:
        data: that it began with.
        find: what is said once, by key and dataset.
        what: began.
    """
    lines = []
    for field in FOLDERS:
        key = field.replace("_", "-")
        said, begun = find(key, data.dataset), getattr(data, field)
        if begun is not None and said is not None and said.value not in (None, begun):
            lines.append(
                f"{key} stays {begun}, as when the {what} began; {said.origin} says {said.value}, which is taken with "
                f"--{key} {shlex.quote(said.value)}"
            )
    return lines
