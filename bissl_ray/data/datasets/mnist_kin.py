"""Greyscale drawings of 28 x 28 pixels in the files that MNIST is published in: Fashion-MNIST, KMNIST and EMNIST.

A twenty-fourth of the training images validate, 2,500 of 60,000: small networks are scored after each alternation of a
second, and a fifth, as of the photographs' datasets, would take several times as long as what it scores.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bissl_ray.data.spec import DatasetSplits, Labelled, SplitChoice
from bissl_ray.errors import BadInputError

_SIDE = 28
_VALIDATION_SHARE = 1 / 24
_ENDINGS = ("", ".gz")


class DrawingFiles(NamedTuple):
    """What the three differ in: where their files lie, and what these hold."""

    folders: tuple[str, ...]
    """Under the data folder; the first one is shown, and of each file the first that is there is read."""
    class_names: Sequence[str]
    train: tuple[str, str] = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
    """Images and labels."""
    test: tuple[str, str] = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    transposed: bool = False
    """Whether rows and columns are exchanged as published."""
    own_labels: str | None = None
    """MD5 of the published training labels, for files in the data folder itself: others' have the same names."""

    def places(self, name: str) -> tuple[str, ...]:
        """Where a file may lie, gzipped or not."""
        return tuple(f"{folder}{name}{ending}" for folder in self.folders for ending in _ENDINGS)

    @property
    def required(self) -> tuple[tuple[str, ...], ...]:
        """As `DatasetSpec.required`."""
        return tuple(self.places(name) for name in (*self.train, *self.test))

    @property
    def layout(self) -> str:
        """The files, a line each."""
        return "\n".join(f"{places[0]}[.gz]" for places in self.required)

    def sums(self, md5: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        """As `DatasetSpec.checksums`, wherever the files lie, from the sum of each by its name."""
        return tuple((f"{folder}{name}", each) for folder in self.folders for name, each in md5.items())


def _part(files: DrawingFiles, folder: Path, names: tuple[str, str]) -> tuple[Labelled, list[bytes]]:
    """Read images and labels, and what their files hold; refuse what training would trip over."""
    import numpy as np
    import torch

    from bissl_ray.data.files.idx import read_idx
    from bissl_ray.data.files.sources import TensorImages

    paths = [next(folder / place for place in files.places(name) if (folder / place).is_file()) for name in names]
    grey, labels = read_idx(paths[0], 3), read_idx(paths[1], 1)
    if grey.shape[1:] != (_SIDE, _SIDE):
        raise BadInputError(f"{paths[0]}: its images are {grey.shape[1]} x {grey.shape[2]} pixels, expected 28 x 28")
    if len(labels) != len(grey):
        raise BadInputError(
            f"{paths[1]}: holds {len(labels):,} labels, and {paths[0].name} {len(grey):,} images; put files of "
            "the same release there"
        )
    classes = len(files.class_names)
    if len(labels) and labels.max() >= classes:
        place = int(np.argmax(labels >= classes))
        raise BadInputError(
            f"{paths[1]}: image {place} has label {labels[place]}, expected 0 .. {classes - 1}; put the published "
            "file there"
        )
    _refuse_others(files, folder, paths[1], labels.tobytes())
    upright = np.ascontiguousarray(grey.transpose(0, 2, 1)) if files.transposed else grey.copy()
    # Three channels that share their memory.
    images = torch.from_numpy(upright).unsqueeze(1).expand(-1, 3, -1, -1)
    return Labelled(TensorImages(images, str(paths[0])), labels.tolist()), [grey.tobytes(), labels.tobytes()]


def _refuse_others(files: DrawingFiles, folder: Path, path: Path, labels: bytes) -> None:
    """MNIST and all its kin name their files alike: in a folder of no name they can be told by their labels alone."""
    if files.own_labels is None or path.parent != folder or not path.name.startswith("train") or len(labels) < 60_000:
        return
    if hashlib.md5(labels, usedforsecurity=False).hexdigest() != files.own_labels:
        raise BadInputError(
            f"{path}: these are not the labels of Fashion-MNIST; MNIST's and KMNIST's files have the same names: give "
            "the folder of Fashion-MNIST's own, or one that holds FashionMNIST/raw"
        )


def read_drawings(files: DrawingFiles, name: str, folder: Path, choice: SplitChoice) -> DatasetSplits:
    """Read and split one of them.

    Args:
        files: what is where.
        name: of the dataset.
        folder: the data folder, complete.
        choice: of the split.

    Raises:
        BadInputError: a file is damaged, or they don't belong together.
    """
    from bissl_ray.data.files.image_lists import check_every_class
    from bissl_ray.data.files.published import Published, split

    (train, of_train), (test, of_test) = (_part(files, folder, names) for names in (files.train, files.test))
    classes = len(files.class_names)
    check_every_class(train.targets, classes, folder, files.class_names)
    published = Published(train, test, classes, [*of_train, *of_test], class_names=files.class_names)
    return split(published, name, _VALIDATION_SHARE, choice)
