"""What a dataset is to the rest of the program: its facts, how it is opened, what comes out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from bissl_ray.errors import BadInputError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

UNLABELLED = -1
"""The label of an image whose class is hidden from training."""


class ImageSource(Protocol):
    """Images with labels, decoded one at a time; picklable, because loader processes get a copy."""

    @property
    def labels(self) -> Sequence[int]:
        """One label per image, `UNLABELLED` where it is hidden; no image is decoded."""

    def __len__(self) -> int:
        """Count the images."""

    def __getitem__(self, index: int) -> tuple[Any, int]:
        """Return an image, a PIL RGB image or a uint8 tensor (3, H, W), and its label."""


@dataclass(frozen=True)
class DatasetSplits:
    """A dataset opened and split. Validation and test share no image with anything that is trained on."""

    pretext: ImageSource
    """The unlabelled pool of the lower level: the training images, and what was published without labels."""
    train: ImageSource
    """Labelled training images of the upper level and of fine-tuning."""
    validation: ImageSource
    """Labelled images that choose between configurations."""
    test: ImageSource
    """Labelled images for the winner and the control alone."""
    classes: int
    """Number of classes in the files opened: labels are 0 .. classes - 1."""
    fingerprint: str
    """SHA-256 over the data's identity and the indices of every split, in hexadecimal."""


@dataclass(frozen=True)
class DatasetSpec:
    """The facts about one dataset (PAPER, table of datasets) and the function that reads it."""

    name: str
    """What a person types: `cars`."""
    title: str
    """What it is called in print: `Stanford Cars`."""
    classes: int
    """Number of classes as published; a folder's own number is `DatasetSplits.classes`."""
    metric: Literal["top1", "mean_per_class"]
    """The accuracy that the field reports on it."""
    horizontal_flip: bool
    """Whether a mirrored image still shows its class."""
    colour: bool
    """Whether images are colour photographs; else greyscale drawings on a black ground."""
    crop_scale: tuple[float, float]
    """Smallest and largest share of an image's area that a random crop keeps."""
    mean: tuple[float, float, float]
    """Mean per channel of values in [0, 1], for normalisation."""
    std: tuple[float, float, float]
    """Standard deviation per channel of values in [0, 1], for normalisation."""
    home: str
    """Where it is published and how to get it, in plain sentences."""
    layout: str
    """The exact folder layout expected, one path a line."""
    required: tuple[str, ...]
    """Paths under the data folder that must exist, folders with a final slash; none if embedded."""
    reader: Callable[[Path, int], DatasetSplits]
    """Reads a complete data folder with a split seed; imports what it needs by itself."""

    @property
    def embedded(self) -> bool:
        """Whether it ships with the program's dependencies and needs no data folder."""
        return not self.required

    def open(self, data_dir: Path | None, split_seed: int = 0) -> DatasetSplits:
        """Read and split the dataset; images are decoded later, when they are asked for.

        Args:
            data_dir: folder that holds the layout; an embedded dataset ignores it.
            split_seed: seed of the train/validation split.

        Raises:
            BadInputError: no folder given, something missing in it, or a damaged file.
        """
        if self.embedded:
            return self.reader(Path(), split_seed)
        if data_dir is None:
            raise BadInputError(self._explain(f"{self.title} ('{self.name}') needs a data folder; none was given."))
        folder = Path(data_dir).expanduser().absolute()
        missing = self._missing(folder)
        if not missing:
            return self.reader(folder, split_seed)
        lines = f"{self.title} ('{self.name}') is incomplete in {folder}; missing: {', '.join(missing)}."
        if not self._missing(folder.parent):
            lines += f"\nIt is complete one folder further up: give --data-dir {folder.parent}"
        raise BadInputError(self._explain(lines))

    def _missing(self, folder: Path) -> list[str]:
        def exists(path: str) -> bool:
            return (folder / path).is_dir() if path.endswith("/") else (folder / path).is_file()

        return [path for path in self.required if not exists(path)]

    def _explain(self, problem: str) -> str:
        layout = "\n".join("  " + line for line in self.layout.splitlines())
        return (
            f"{problem}\nExpected in the data folder:\n{layout}\nWhere to get it: {self.home}\n"
            "Nothing is downloaded for you. Put the files there and give --data-dir FOLDER."
        )
