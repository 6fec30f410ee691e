"""What a dataset is to the rest of the program: its facts, how it is opened, what comes out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from bissl_ray.errors import BadInputError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Target = Any
"""What is to be said of an image: opaque to all but the dataset's reader and its task.

Places in an image are given as shares of its sides: images may be reduced before a task sees them.
"""

Label = int | tuple[int, ...]
"""A target of the tasks classification and multi_label: a class, from 0; where images show several classes, a number
per class: 1 shown, 0 not, `UNCERTAIN` not counted."""

UNCERTAIN = -1
"""In a label of several classes: whether the image shows this one doesn't count (VOC's "difficult" objects)."""


class Images(Protocol):
    """Images of any size, decoded one at a time; picklable, because loader processes get a copy."""

    def __len__(self) -> int:
        """Count the images."""

    def __getitem__(self, index: int) -> Any:
        """Return an image: a PIL RGB image or a uint8 tensor (3, H, W).

        Raises:
            BadInputError: it can't be decoded; the message names it as `name` does.
        """

    def name(self, index: int) -> str:
        """What a person finds the image by: its path, or its place in a file of many."""

    def select(self, indices: Sequence[int]) -> "Images":
        """The images of these indices, which ascend."""


@dataclass(frozen=True)
class Labelled:
    """Images with a target each."""

    images: Images
    targets: Sequence[Target]
    """One per image, kept as `packed` keeps them; none of them costs an image to be decoded."""

    def __post_init__(self) -> None:
        from bissl_ray.data.files.packed import packed

        object.__setattr__(self, "targets", packed(self.targets))
        if len(self.images) != len(self.targets):
            raise ValueError(f"{len(self.images)} images and {len(self.targets)} targets: expected one for each")

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Any, Target]:
        return self.images[index], self.targets[index]

    def name(self, index: int) -> str:
        """As the images name it."""
        return self.images.name(index)

    def select(self, indices: Sequence[int]) -> "Labelled":
        """The images of these indices, which ascend, with their targets."""
        from bissl_ray.data.files.packed import selected

        return Labelled(self.images.select(indices), selected(self.targets, indices))


SPLITS: Final = ("pretext", "train", "validation", "test")
"""What a dataset is split into."""


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

    pretext: Images
    """The unlabelled pool of the lower level: the training images, and what was published without labels."""
    train: Labelled
    """Labelled training images of the upper level and of fine-tuning."""
    validation: Labelled
    """Labelled images that choose between configurations."""
    test: Labelled
    """Labelled images for the winner and the control alone."""
    classes: int | None
    """Number of classes in the files opened, counted from 0; None where the task has none."""
    fingerprint: str
    """SHA-256 over the data's identity and the indices of every split, in hexadecimal."""
    labelled_fingerprint: str
    """The same of the labelled images alone: whatever the pretext sees, and however images are reduced."""
    validation_from: str
    """Where the validation images came from, in words: "as published", "drawn, seed 0", "from S/cars_val_split.txt"."""
    class_names: tuple[str, ...] | None = None
    """What the files call each class, by its label: a head's outputs mean these; None where they have no names."""
    left_out: tuple[str, ...] = ()
    """Annotations that can't be used and need no correction, a line each with file, id and why."""
    annotation_files: tuple[Path, ...] = ()
    """Files that targets were read from and that may lie beside images; of a person's own folder."""
    labelled_pool: Labelled | None = None
    """As a reader gives them: all training images that could be labelled, where `train` holds but some of them."""
    pretext_fingerprint: str | None = None
    """Of what the pretext sees, where labels were left out; None: `fingerprint` says it."""
    split_fingerprint: str | None = None
    """`labelled_fingerprint` as it was before labels were left out; None: it is that."""

    @property
    def of_pretext(self) -> str:
        """Identifies what the pretext sees: the same whatever number of labels is used."""
        return self.pretext_fingerprint or self.fingerprint

    @property
    def of_split(self) -> str:
        """Identifies which images are for training, validation and test: the same whatever number of labels is used."""
        return self.split_fingerprint or self.labelled_fingerprint

    def images(self, split: str) -> Images:
        """The images of "pretext", "train", "validation" or "test"."""
        part: Images | Labelled = getattr(self, split)
        return part.images if isinstance(part, Labelled) else part


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """The facts about one dataset (PAPER, table of datasets) and the function that reads it."""

    name: str
    """What a person types: `cars`."""
    title: str
    """What it is called in print: `Stanford Cars`."""
    classes: int | None
    """Number of classes as published; None where every folder has its own, or the task has none."""
    sizes: tuple[int, int, int] | None
    """Images for training, validation and test as published (PAPER, table of datasets); None for a person's own."""
    metric: str
    """The figure that the field reports on it, one of its task's and of `metrics.METRICS`."""
    task: str = "classification"
    """The downstream task, as of `downstream.downstream_task`: what a target is, and what is learnt from it."""
    check: "Callable[[DatasetSplits, DatasetSpec], None] | None" = None
    """Refuses targets that don't suit the task (BadInputError), when the data are opened, without torch. None: those of
    classification and multi_label are checked as `checks.targets` does, others not at all."""

    horizontal_flip: bool = True
    """Whether a mirrored image still shows what it showed."""
    colour: bool = True
    """Whether images are colour photographs; else greyscale drawings on a black ground."""
    crop_scale: tuple[float, float] = (0.08, 1.0)
    """Smallest and largest share of an image's area that a random crop keeps."""
    mean: tuple[float, float, float] = IMAGENET_MEAN
    """Mean per channel of values in [0, 1], for normalisation."""
    std: tuple[float, float, float] = IMAGENET_STD
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
    """Published files whose images can't show damage by themselves, raw as they are: path as in `required`, and MD5.
    Those that are there are compared; of a path that stands here several times, one of its sums will do."""
    embedded: bool = False
    """Whether it ships with the program's dependencies and needs no data folder."""

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
        check = self.check_command("FOLDER")
        return f"Put the files there and give --data-dir FOLDER, or fetch them first: {check} --download"

    def check_command(self, folder: Path | str) -> str:
        """What a person types to check a data folder of this dataset."""
        return f"bissl-ray datasets check {self.name} --data-dir {folder}"
