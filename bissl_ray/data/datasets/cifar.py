"""CIFAR-10 and CIFAR-100: 60,000 images of 32 x 32 pixels each (Krizhevsky 2009).

All 50,000 training images are used, a fifth of them for validation (PAPER, table of datasets).
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from bissl_ray.data.files.downloads import by_torchvision
from bissl_ray.data.spec import DatasetSpec, DatasetSplits, Labelled, SplitChoice
from bissl_ray.errors import BadInputError

_VALIDATION_SHARE = 1 / 5


class _Files(NamedTuple):
    """What the two differ in."""

    folder: str
    train: tuple[str, ...]
    test: str
    meta: str
    class_names: str
    """Key of the classes' names in `meta`."""
    labels: str
    """Key of the labels in the others."""
    md5: tuple[str, ...]
    """Of the published files: training, test, meta."""


_FILES_10 = _Files(
    folder="cifar-10-batches-py",
    train=tuple(f"data_batch_{number}" for number in range(1, 6)),
    test="test_batch",
    meta="batches.meta",
    class_names="label_names",
    labels="labels",
    md5=(
        "c99cafc152244af753f735de768cd75f",
        "d4bba439e000b95fd0a9bffe97cbabec",
        "54ebc095f3ab1f0389bbae665268c751",
        "634d18415352ddfa80567beed471001a",
        "482c414d41f54cd18b22e5b47cb7c3cb",
        "40351d587109b95175f43aff81a1287e",
        "5ff9c542aee3614f3951f8cda6e48888",
    ),
)
_FILES_100 = _Files(
    folder="cifar-100-python",
    train=("train",),
    test="test",
    meta="meta",
    class_names="fine_label_names",
    labels="fine_labels",
    md5=(
        "16019d7e3df5f24257cddd939b257f8d",
        "f0ef6b0ae62326f3e7ffdfab6717acfc",
        "7973b15100ade9c7d40fb424638fde48",
    ),
)


def _field(path: Path, content: bytes, key: str) -> tuple[dict[str, Any], Any]:
    from bissl_ray.data.files.plain_data import load_plain_pickle

    entries = load_plain_pickle(content, path)
    if not isinstance(entries, dict) or key not in entries:
        found = ", ".join(map(str, entries)) if isinstance(entries, dict) else type(entries).__name__
        raise BadInputError(f"{path}: found {found[:100]}, expected an entry {key!r}; put the published file there")
    return entries, entries[key]


def _images(path: Path, content: bytes, key: str, classes: int) -> tuple[Any, list[int]]:
    """Read one file: uint8 images (n, 3, 32, 32) and their labels; refuse what training would trip over."""
    import numpy as np

    entries, labels = _field(path, content, key)
    data = entries.get("data")
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != 3072:
        found = f"{data.dtype} of shape {data.shape}" if isinstance(data, np.ndarray) else type(data).__name__
        raise BadInputError(f"{path}: its entry 'data' is {found}, expected uint8 of shape (n, 3072)")
    if not isinstance(labels, list) or len(labels) != len(data):
        count = len(labels) if isinstance(labels, list) else type(labels).__name__
        raise BadInputError(f"{path}: holds {len(data)} images and {count} labels ({key!r}), expected as many")
    for place, label in enumerate(labels):
        if not isinstance(label, int) or not 0 <= label < classes:
            raise BadInputError(
                f"{path}: image {place} has label {label!r}, expected 0 .. {classes - 1} for the {classes} classes "
                "in the file of class names; put files of the same release there"
            )
    return data.reshape(-1, 3, 32, 32), labels


def _read(files: _Files, name: str, folder: Path, choice: SplitChoice) -> DatasetSplits:
    from bissl_ray.data.files.image_lists import check_every_class
    from bissl_ray.data.files.published import Published, split

    contents = {part: (folder / files.folder / part).read_bytes() for part in (*files.train, files.test, files.meta)}
    meta = folder / files.folder / files.meta
    class_names = _field(meta, contents[files.meta], files.class_names)[1]
    classes = len(class_names)

    def source(parts: Sequence[str]) -> Labelled:
        import numpy as np
        import torch

        from bissl_ray.data.files.sources import TensorImages

        read = [_images(folder / files.folder / part, contents[part], files.labels, classes) for part in parts]
        images = torch.from_numpy(np.concatenate([data for data, _ in read]))
        origin = folder / files.folder / (parts[0] if len(parts) == 1 else parts[0].rstrip("1") + "*")
        return Labelled(TensorImages(images, str(origin)), [label for _, labels in read for label in labels])

    train = source(files.train)
    check_every_class(train.targets, classes, folder / files.folder)
    test = source([files.test])
    published = Published(train, test, classes, list(contents.values()), class_names=class_names)
    return split(published, name, _VALIDATION_SHARE, choice)


def _spec(name: str, title: str, classes: int, files: _Files) -> DatasetSpec:
    listed = tuple(f"{files.folder}/{part}" for part in (*files.train, files.test, files.meta))
    return DatasetSpec(
        name=name,
        title=title,
        classes=classes,
        sizes=(40_000, 10_000, 10_000),
        metric="top1",
        home="https://www.cs.toronto.edu/~kriz/cifar.html, the python version.",
        layout="\n".join(listed),
        required=listed,
        reader=partial(_read, files, name),
        download=by_torchvision(name.upper()),
        checksums=tuple(zip(listed, files.md5, strict=True)),
    )


CIFAR10 = _spec("cifar10", "CIFAR-10", 10, _FILES_10)
CIFAR100 = _spec("cifar100", "CIFAR-100", 100, _FILES_100)
