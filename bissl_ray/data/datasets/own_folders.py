"""Datasets of a person's own, KIND or KIND-NAME: several are told apart by their names.

Several may lie in one data folder, as other datasets do: then each is the folder NAME in it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bissl_ray.data.spec import DatasetSpec, DatasetSplits, SplitChoice
from bissl_ray.errors import BadInputError

# It becomes a folder of the store and a part of file names (store.check_name).
_NAME = re.compile(r"[A-Za-z0-9._-]{1,80}")


@dataclass(frozen=True)
class OwnFolders:
    """One kind of such datasets.

    Attributes:
        spec: the facts of the one without a name; its own is the kind's.
        title: what those with a name are called in print, before it.
        read: as `DatasetSpec.reader`, given the dataset's name first.
    """

    spec: DatasetSpec
    title: str
    read: Callable[[str, Path, SplitChoice], DatasetSplits]

    def is_named(self, name: str) -> bool:
        """Whether a dataset's name is that of one of this kind with a name."""
        return name.startswith(f"{self.spec.name}-")

    def named(self, name: str) -> DatasetSpec:
        """The facts of one.

        Args:
            name: the kind, `-` and what a person calls it.

        Raises:
            BadInputError: it can't be part of file names.
        """
        prefix, called = f"{self.spec.name}-", own_name(name)
        if _NAME.fullmatch(called) is None:
            raise BadInputError(
                f"dataset {name!r}: expected letters, digits, '.', '_' or '-' after '{prefix}', 80 at most, for "
                f"example '{prefix}birds'"
            )
        return replace(self.spec, name=name, title=f"{self.title}, {called}", reader=partial(self.read, name))


def own_name(name: str) -> str:
    """What a person calls theirs: "birds" of "folder-birds"; "" of "folder"."""
    return name.partition("-")[2]


def own_folder(name: str, folder: Path, holds: Callable[[Path], bool]) -> Path:
    """The folder NAME inside a data folder where there is one that holds data, else the data folder itself.

    Args:
        name: of the dataset.
        folder: the data folder.
        holds: whether a folder holds data of this kind.

    Raises:
        BadInputError: there is no data folder.
    """
    if not folder.is_dir():
        raise BadInputError(f"--data-dir {folder}: found no folder there; expected the one that holds your images")
    inner = folder / own_name(name)
    return inner if inner != folder and inner.is_dir() and holds(inner) else folder
