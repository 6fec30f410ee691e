"""What a dataset is to the rest of the program: its facts, how it is opened, what comes out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from bissl_ray.errors import BadInputError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

METRIC_TITLES: Final = {"top1": "top-1", "mean_per_class": "per class", "map11": "11-pt mAP"}
"""What the metrics are called in tables."""

UNLABELLED = -1
"""The label of an image whose class is hidden from training."""


Label = int | tuple[int, ...]
"""A class, from 0; where images show several classes, a number per class: 1 shown, 0 not, `UNCERTAIN` not counted."""

UNCERTAIN = -1
"""In a label of several classes: whether the image shows this one doesn't count (VOC's "difficult" objects)."""


class ImageSource(Protocol):
    """Images with labels, decoded one at a time; picklable, because loader processes get a copy."""

    @property
    def labels(self) -> Sequence[Label]:
        """One label per image, `UNLABELLED` where it is hidden; no image is decoded."""

    def __len__(self) -> int:
        """Count the images."""

    def __getitem__(self, index: int) -> tuple[Any, Label]:
        """Return an image, a PIL RGB image or a uint8 tensor (3, H, W), and its label.

        Raises:
            BadInputError: it can't be decoded; the message names it as `name` does.
        """

    def name(self, index: int) -> str:
        """What a person finds the image by: its path, or its place in a file of many."""

    def select(self, indices: Sequence[int]) -> "ImageSource":
        """The images of these indices, which ascend."""

    def hidden(self) -> "ImageSource":
        """The same images with every label `UNLABELLED`."""


@dataclass(frozen=True)
class SplitChoice:
    """Which of the possible train/validation splits.

    Attributes:
        seed: of a drawn split; doesn't matter where a split is published with the data or in `folder`.
        folder: holds index files as the paper's authors publish them (see `files.split_files`); None: none are read.
    """

    seed: int = 0
    folder: Path | None = None


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
    labelled_fingerprint: str
    """The same of the labelled images alone: whatever the pretext sees, and however images are reduced."""
    validation_from: str
    """Where the validation images came from, in words: "as published", "drawn, seed 0", "from S/cars_val_split.txt"."""
    class_names: tuple[str, ...] | None = None
    """What the files call each class, by its label: a head's outputs mean these; None where they have no names."""


@dataclass(frozen=True)
class DatasetSpec:
    """The facts about one dataset (PAPER, table of datasets) and the function that reads it."""

    name: str
    """What a person types: `cars`."""
    title: str
    """What it is called in print: `Stanford Cars`."""
    classes: int | None
    """Number of classes as published; None where every folder has its own. That is `DatasetSplits.classes`."""
    sizes: tuple[int, int, int] | None
    """Images for training, validation and test as published (PAPER, table of datasets); None as for `classes`."""
    metric: Literal["top1", "mean_per_class", "map11"]
    """The figure that the field reports on it: accuracy over images, accuracy meaned over classes, or 11-point mean
    average precision (then images show several classes)."""
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
    required: tuple[str | tuple[str, ...], ...]
    """Paths under the data folder that must exist, folders with a final slash; of several in a tuple, one. None if
    embedded."""
    reader: Callable[[Path, SplitChoice], DatasetSplits]
    """Reads a complete data folder and splits it as chosen; imports what it needs by itself."""
    download: Callable[[Path], None] | None = None
    """Fetches the published files into a data folder, where a download still works."""
    checksums: tuple[tuple[str, str], ...] = ()
    """Published files whose images can't show damage by themselves, raw as they are: path as in `required`, and MD5."""
    embedded: bool = False
    """Whether it ships with the program's dependencies and needs no data folder."""

    @property
    def task(self) -> Literal["classification", "multi_label"]:
        """The downstream task: whether an image shows one class or any number, its label then a number per class."""
        return "multi_label" if self.metric == "map11" else "classification"

    def open(self, data_dir: Path | None, split: SplitChoice | None = None) -> DatasetSplits:
        """Read and split the dataset; images are decoded later, when they are asked for.

        Args:
            data_dir: folder that holds the layout; an embedded dataset ignores it.
            split: how validation is split off; None: drawn with seed 0.

        Raises:
            BadInputError: no folder given, something missing in it, or a damaged file.
        """
        split = SplitChoice() if split is None else split
        if self.embedded:
            return self.reader(Path(), split)
        if data_dir is None:
            raise BadInputError(self._explain(f"{self.title} ('{self.name}') needs a data folder; none was given."))
        folder = Path(data_dir).expanduser().absolute()
        missing = self.missing(folder)
        if not missing:
            return self.reader(folder, split)
        lines = f"{self.title} ('{self.name}') is incomplete in {folder}; missing: {', '.join(missing)}."
        if not self.missing(folder.parent):
            lines += f"\nIt is complete one folder further up: give --data-dir {folder.parent}"
        raise BadInputError(self._explain(lines))

    def missing(self, folder: Path) -> list[str]:
        """The paths of `required` that a data folder lacks; where one of several would do, the first of them."""

        def exists(path: str) -> bool:
            return (folder / path).is_dir() if path.endswith("/") else (folder / path).is_file()

        places = [(path,) if isinstance(path, str) else path for path in self.required]
        return [either[0] for either in places if not any(map(exists, either))]

    def _explain(self, problem: str) -> str:
        layout = "\n".join("  " + line for line in self.layout.splitlines())
        return (
            f"{problem}\nExpected in the data folder:\n{layout}\nWhere to get it: {self.home}\n{self._how_to_go_on()}"
        )

    def _how_to_go_on(self) -> str:
        if self.download is None:
            return "Nothing is downloaded for you. Put the files there and give --data-dir FOLDER."
        check = f"bissl-ray datasets check {self.name} --data-dir FOLDER --download"
        return f"Put the files there and give --data-dir FOLDER, or fetch them first: {check}"


def photographs(
    *,
    name: str,
    title: str,
    classes: int | None,
    sizes: tuple[int, int, int] | None,
    metric: Literal["top1", "mean_per_class", "map11"],
    home: str,
    layout: str,
    required: tuple[str | tuple[str, ...], ...],
    reader: Callable[[Path, SplitChoice], DatasetSplits],
    download: Callable[[Path], None] | None = None,
    checksums: tuple[tuple[str, str], ...] = (),
) -> DatasetSpec:
    """The facts about a dataset of colour photographs, as `DatasetSpec`: all are augmented and normalised alike."""
    return DatasetSpec(
        name=name,
        title=title,
        classes=classes,
        sizes=sizes,
        metric=metric,
        horizontal_flip=True,
        colour=True,
        crop_scale=(0.08, 1.0),
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        home=home,
        layout=layout,
        required=required,
        reader=reader,
        download=download,
        checksums=checksums,
    )
