"""Which data, where they lie and how they are split: all that opening them takes."""

from dataclasses import dataclass
from pathlib import Path

from bissl_ray.data.registry import get_dataset
from bissl_ray.data.spec import DatasetSpec, DatasetSplits
from bissl_ray.data.split_choice import SplitChoice


@dataclass(frozen=True)
class DataChoice:
    """A dataset as a person asked for it; plain values, for another process to open.

    Attributes:
        dataset: name in the registry.
        data_dir: folder that holds it; None for an embedded one.
        split_seed: of a drawn train/validation split.
        splits_dir: folder of published index files; None: none are read.
    """

    dataset: str
    data_dir: str | None = None
    split_seed: int = 0
    splits_dir: str | None = None

    @property
    def spec(self) -> DatasetSpec:
        """The dataset's facts (raises BadInputError where there is none of that name)."""
        return get_dataset(self.dataset)

    def open(self) -> DatasetSplits:
        """Read and split it (raises BadInputError: not there, incomplete, or damaged)."""
        folder = None if self.splits_dir is None else Path(self.splits_dir)
        return self.spec.open(
            None if self.data_dir is None else Path(self.data_dir), SplitChoice(self.split_seed, folder)
        )
