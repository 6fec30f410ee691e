"""Caltech 101: 8,677 photographs of 101 kinds of objects (Fei-Fei et al. 2004), without its background class.

It is published without a split. As the field does, 30 images per class are for training and the rest for test; here
they're the same under every split seed, so that a checkpoint pretrained under one has never seen the test images of
another. Validation is a fifth of the 3,030 (PAPER, table of datasets). Index files count all 8,677 images, in the
order of torchvision's reader, and test is every image that they leave out: 5,647 by the authors' files.

The folders are listed here, because torchvision's reader counts whatever lies in them as images, and makes a folder
where there is none.
"""

from collections.abc import Sequence
from pathlib import Path

from bissl_ray.data.files.class_folders import names_content, subfolders
from bissl_ray.data.files.downloads import by_torchvision
from bissl_ray.data.spec import DatasetSpec, DatasetSplits, Labelled, SplitChoice
from bissl_ray.errors import BadInputError

_VALIDATION_SHARE = 606 / 3030
_TRAINED_ON = 30
_TEST_SEED = 0
_IMAGES = "caltech101/101_ObjectCategories"
_BACKGROUND = "BACKGROUND_Google"


def _class_folders(folder: Path) -> list[Path]:
    """List the folders of the classes, in the order of their names."""
    found = [folder / name for name in subfolders(folder) if name != _BACKGROUND]
    if len(found) < 2:
        raise BadInputError(
            f"{folder}: found {len(found)} folders of images, expected one per class; unpack the complete archive there"
        )
    return found


def _images_of(folder: Path) -> list[str]:
    """List one class, `image_0001.jpg` and so on without a gap."""
    found = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    expected = [f"image_{number:04d}.jpg" for number in range(1, len(found) + 1)]
    for name, wanted in zip(found, expected, strict=True):
        if name != wanted:
            raise BadInputError(
                f"{folder}: found {name} where {wanted} should be, the images being numbered without a gap; "
                "put the complete images there and nothing else"
            )
    if len(found) < 2:
        raise BadInputError(
            f"{folder}: found {len(found)} images, expected at least 2, to train and to test with; add some, or "
            "take the folder away"
        )
    return [f"{folder.name}/{name}" for name in found]


def _refuse_without_test(place: str, names: Sequence[str], labels: Sequence[int], rest: Sequence[int]) -> None:
    """Refuse index files that leave a class without a test image, as those do that count the training images alone."""
    shown = {labels[index] for index in rest}
    missing = sorted({names[index].partition("/")[0] for index, label in enumerate(labels) if label not in shown})
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise BadInputError(
            f"{place}: leave no image of class {', '.join(missing[:3])}{more} for test; expected files that count all "
            f"{len(names):,} images of the folder, in the order of torchvision's reader, and leave out those to test on"
        )


def _read(folder: Path, choice: SplitChoice) -> DatasetSplits:
    import numpy as np

    from bissl_ray.data.files.image_lists import check_every_class
    from bissl_ray.data.files.published import Published, split
    from bissl_ray.data.files.sources import ImageFiles
    from bissl_ray.data.files.split_files import read_split, split_paths
    from bissl_ray.data.sampling import permutation

    folders = _class_folders(folder / _IMAGES)
    by_class = [_images_of(entry) for entry in folders]
    names = [name for images in by_class for name in images]
    labels = np.repeat(np.arange(len(by_class)), [len(images) for images in by_class])

    from_files = None if choice.folder is None else read_split(choice.folder, "caltech101", len(names))
    if from_files is None:
        order = permutation(len(names), _TEST_SEED, "caltech101 test")
        shuffled = [order[labels[order] == label] for label in range(len(by_class))]
        known = [np.sort(np.concatenate([images[: min(_TRAINED_ON, len(images) - 1)] for images in shuffled]))]
    else:
        known = list(from_files)
    rest = np.setdiff1d(np.arange(len(names)), np.concatenate(known))
    validation_from = "as published"
    if choice.folder is not None and from_files is not None:
        train_file, validation_file = split_paths(choice.folder, "caltech101")
        _refuse_without_test(f"{train_file} and {validation_file.name}", names, labels.tolist(), rest.tolist())
        check_every_class(labels[known[0]].tolist(), len(by_class), train_file, [path.name for path in folders])
        validation_from = f"from {validation_file}"

    everything = Labelled(ImageFiles(folder / _IMAGES, names), labels.tolist())
    parts = [everything.select(indices.tolist()) for indices in (*known, rest)]
    published = Published(
        train=parts[0],
        validation=parts[1] if len(known) == 2 else None,
        test=parts[-1],
        classes=len(by_class),
        class_names=[images[0].partition("/")[0] for images in by_class],
        contents=[names_content(names), *(indices.astype("<i8").tobytes() for indices in known)],
        validation_from=validation_from,
    )
    return split(published, "caltech101", _VALIDATION_SHARE, SplitChoice(choice.seed))


SPEC = DatasetSpec(
    name="caltech101",
    title="Caltech 101",
    classes=101,
    sizes=(2424, 606, 5647),
    metric="mean_per_class",
    home="https://data.caltech.edu/records/mzrjq-6wc02 (caltech-101.zip, 137 MB, which holds the archive of images).",
    layout="""\
caltech101/101_ObjectCategories/CLASS/image_*.jpg  8,677 images, and BACKGROUND_Google, which isn't read""",
    required=(f"{_IMAGES}/",),
    reader=_read,
    download=by_torchvision("Caltech101"),
)
