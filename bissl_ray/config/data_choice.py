"""Which data, where they lie and how they are split: all that opening them takes."""

import hashlib
import os
from dataclasses import dataclass, fields, replace
from pathlib import Path

from bissl_ray.data.checks.labels import check_labels
from bissl_ray.data.datasets.registry import get_dataset
from bissl_ray.data.spec import DatasetSpec, DatasetSplits, SplitChoice
from bissl_ray.errors import BadInputError


@dataclass(frozen=True)
class DataChoice:
    """A dataset as a person asked for it; plain values, for another process to open.

    Attributes:
        dataset: name in the registry.
        data_dir: folder that holds it; None for an embedded one.
        split_seed: of a drawn train/validation split.
        splits_dir: folder of published index files; None: none are read.
        pretext_dataset: whose images the pretext sees instead of this dataset's, as where the backbone was pretrained
            on ImageNet (the paper); None: this dataset's own.
        pretext_data_dir: folder that holds it; None: `data_dir`.
    """

    dataset: str
    data_dir: str | None = None
    split_seed: int = 0
    splits_dir: str | None = None
    pretext_dataset: str | None = None
    pretext_data_dir: str | None = None

    @classmethod
    def of(cls, asked: object) -> "DataChoice":
        """The data that a request or an order asks for; its attributes have the same names."""
        return cls(**{field.name: getattr(asked, field.name) for field in fields(cls)})

    @property
    def spec(self) -> DatasetSpec:
        """The dataset's facts (raises BadInputError where there is none of that name)."""
        return get_dataset(self.dataset)

    @property
    def pretext_spec(self) -> DatasetSpec:
        """The facts about the images that the pretext sees (raises BadInputError likewise)."""
        return self.spec if self.pretext_dataset is None else get_dataset(self.pretext_dataset)

    def open(self) -> DatasetSplits:
        """Read and split it.

        Raises:
            BadInputError: not there, incomplete, damaged, or labels that don't fit; or the pretext might see images
                that are for validation or test.
        """
        self._refuse_a_second_folder()
        splits = self.spec.open(_path(self.data_dir), SplitChoice(self.split_seed, _path(self.splits_dir)))
        check_labels(splits, self.spec)
        if self.pretext_dataset in (None, self.dataset):
            return splits
        other = self.pretext_spec.open(_path(self.pretext_data_dir or self.data_dir), SplitChoice(self.split_seed))
        if self.spec.classes is None and self.pretext_spec.classes is None:
            self._refuse_shared_images(splits, other)
        both = hashlib.sha256(f"{splits.fingerprint} pretext {other.fingerprint}".encode()).hexdigest()
        return replace(splits, pretext=other.pretext, fingerprint=both)

    def _refuse_a_second_folder(self) -> None:
        if self.pretext_dataset != self.dataset or self.spec.embedded or None in (self.data_dir, self.pretext_data_dir):
            return
        own, second = (Path(str(path)).expanduser().resolve() for path in (self.data_dir, self.pretext_data_dir))
        if own != second:
            raise BadInputError(
                f"--pretext-data-dir {self.pretext_data_dir}: {self.dataset} itself lies in {self.data_dir}, and "
                "another folder of it may hold its test images; leave it out, or name two folders of your own apart: "
                "--dataset folder-a --pretext-dataset folder-b"
            )

    def _refuse_shared_images(self, splits: DatasetSplits, other: DatasetSplits) -> None:
        """Two names for folders of a person's own may lead to one folder, whose splits they draw differently."""
        held = {
            os.path.realpath(source.name(index))
            for source in (splits.validation, splits.test)
            for index in range(len(source))
        }
        for index in range(len(other.pretext)):
            if os.path.realpath(other.pretext.name(index)) in held:
                raise BadInputError(
                    f"--pretext-dataset {self.pretext_dataset}: {other.pretext.name(index)} is a validation or test "
                    f"image of {self.dataset}; leave it out to take the images that {self.dataset} is trained on"
                )


def _path(path: str | None) -> Path | None:
    return None if path is None else Path(path)
