"""Which data, where they lie and how they are split: all that opening them takes."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from bissl_ray.addresses import without_secrets
from bissl_ray.config.flags import flag
from bissl_ray.errors import BadInputError


@dataclass(frozen=True, kw_only=True)
class DataPlaces:
    """Where data lie, whose images the pretext sees, and how many are used; paths are absolute after `absolute`.

    What a field is, its flag says. Another dataset's images are for the pretext where the backbone was pretrained on
    them, as on ImageNet in the paper. Validation and test images are always all used.
    """

    data_dir: str | None = flag("Folder that holds the dataset's files.", once="data-dir")
    splits_dir: str | None = flag(
        "Folder of published splits: NAME_train_split.txt, NAME_val_split.txt.", once="splits-dir"
    )
    pretext_dataset: str | None = flag(
        "Whose images the lower level sees, such as imagenet. [the dataset's own]", once="pretext-dataset"
    )
    pretext_data_dir: str | None = flag("Folder of the pretext's dataset. [--data-dir]", once="pretext-data-dir")
    labels_per_class: int | None = flag(
        "Labelled training images per class; the pretext sees the rest. [all; digits: 10]",
        metavar="N",
        least=1,
        once="labels-per-class",
    )
    unlabelled_images: int | None = flag(
        "Images that the pretext sees, those with labels among them. [all]",
        metavar="N",
        least=1,
        once="unlabelled-images",
    )
    label_draw: int | None = flag(
        "Another draw of the images with labels: 1, 2, ... [the split's own]", metavar="N", least=1
    )

    def absolute(self) -> Self:
        """The same with paths that processes in other folders find (raises BadInputError: it is an address)."""
        return self.moved(self)

    def moved(self, folders: "DataPlaces") -> Self:
        """The same data where they lie now: these folders, made absolute; those that are None stay.

        Raises:
            BadInputError: an address stands in place of a folder.
        """
        now = {name: getattr(folders, name) for name in FOLDERS}
        for name, path in now.items():
            if path is not None and "://" in str(path):
                raise BadInputError(
                    f"--{name.replace('_', '-')} {without_secrets(str(path))}: found an address, expected a folder; "
                    "copy the data to where the workers are, or mount them there"
                )
        found: dict[str, Any] = {
            name: str(Path(path).expanduser().absolute()) for name, path in now.items() if path is not None
        }
        return replace(self, **found)


FOLDERS = ("data_dir", "splits_dir", "pretext_data_dir")
"""Of `DataPlaces`: what may change while the data stay what they are."""

USED = ("labels_per_class", "unlabelled_images", "label_draw")
"""Of `DataPlaces`: which of the training images are used."""


@dataclass(frozen=True)
class DataChoice(DataPlaces):
    """A dataset as a person asked for it; plain values, for another process to open (`data.open_data`).

    Attributes:
        dataset: name in the registry.
        split_seed: of a drawn train/validation split.
    """

    dataset: str
    split_seed: int = 0

    @property
    def pretext(self) -> str:
        """The dataset whose images the pretext sees."""
        return self.pretext_dataset or self.dataset


@dataclass(frozen=True)
class Decoding:
    """What becomes of an image file's pixels before anything else sees them.

    Attributes:
        shorter_side: images whose shorter side is longer are reduced to this many pixels; None: none are.
        upright: whether they are turned as EXIF says.
    """

    shorter_side: int | None = None
    upright: bool = True


AS_SHOWN: Final = Decoding()
"""As viewers show them."""
