"""SVHN: digits cropped from photographs of house numbers, 32 x 32 pixels (Netzer et al. 2011).

A twenty-fourth of the 73,257 training images validate, as of the other small images. The 531,131 further ones of
extra_32x32.mat are not read: the pretext's pool would else depend on what lies beside the two files.
"""

from pathlib import Path

from bissl_ray.data.files.downloads import by_torchvision
from bissl_ray.data.spec import DatasetSpec, DatasetSplits, Labelled, SplitChoice
from bissl_ray.errors import BadInputError

_CLASSES = 10
_SIDE = 32
_VALIDATION_SHARE = 1 / 24
_TRAIN, _TEST = "train_32x32.mat", "test_32x32.mat"


def _part(path: Path) -> tuple[Labelled, list[bytes]]:
    """Read images and labels, and what they are made of; refuse what training would trip over."""
    import numpy as np
    import torch
    from scipy.io import loadmat

    from bissl_ray.data.files.sources import TensorImages

    try:
        content = loadmat(path)
        columns, numbers = content["X"], content["y"].ravel()
    except Exception as error:  # scipy raises a dozen kinds on a damaged .mat file
        raise BadInputError(
            f"{path}: can't be read as images 'X' with labels 'y' ({type(error).__name__}: {error}); put the published "
            "file there"
        ) from error
    if columns.dtype != np.uint8 or columns.ndim != 4 or columns.shape[:3] != (_SIDE, _SIDE, 3):
        raise BadInputError(
            f"{path}: its 'X' is {columns.dtype} of shape {columns.shape}, expected uint8 of shape (32, 32, 3, n)"
        )
    if len(numbers) != columns.shape[3]:
        raise BadInputError(f"{path}: holds {columns.shape[3]:,} images and {len(numbers):,} labels, expected as many")
    wrong = np.flatnonzero(~np.isin(numbers, np.arange(1, _CLASSES + 1)))
    if len(wrong):
        raise BadInputError(
            f"{path}: image {wrong[0]} has label {numbers[wrong[0]]}, expected 1 .. {_CLASSES}; put the published file "
            "there"
        )
    # The digit 0 has the label 10.
    labels = (numbers.astype(np.int64) % _CLASSES).tolist()
    images = np.ascontiguousarray(columns.transpose(3, 2, 0, 1))
    return Labelled(TensorImages(torch.from_numpy(images), str(path)), labels), [images.tobytes(), bytes(labels)]


def _read(folder: Path, choice: SplitChoice) -> DatasetSplits:
    from bissl_ray.data.files.image_lists import check_every_class
    from bissl_ray.data.files.published import Published, split

    (train, of_train), (test, of_test) = (_part(folder / name) for name in (_TRAIN, _TEST))
    check_every_class(train.targets, _CLASSES, folder / _TRAIN)
    names = tuple(map(str, range(_CLASSES)))
    published = Published(train, test, _CLASSES, [*of_train, *of_test], class_names=names)
    return split(published, "svhn", _VALIDATION_SHARE, choice)


SPEC = DatasetSpec(
    name="svhn",
    title="SVHN",
    classes=_CLASSES,
    sizes=(70_205, 3052, 26_032),
    metric="top1",
    horizontal_flip=False,
    # Less cuts a digit to a piece of another, or to its neighbour.
    crop_scale=(0.5, 1.0),
    # As they are commonly given.
    mean=(0.4377, 0.4438, 0.4728),
    std=(0.198, 0.201, 0.197),
    home="http://ufldl.stanford.edu/housenumbers/, format 2: cropped digits.",
    layout=f"{_TRAIN}\n{_TEST}",
    required=(_TRAIN, _TEST),
    reader=_read,
    download=by_torchvision("SVHN", {"split": "train"}, {"split": "test"}),
    checksums=((_TRAIN, "e26dedcc434d2e4c54c9b2d4a06d8373"), (_TEST, "eb5a983be6a315427106f1b164d9cef3")),
)
