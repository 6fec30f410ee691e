"""Oxford 102 Flowers: 8,189 photographs of 102 flowers (Nilsback and Zisserman 2008).

Read here with scipy, in the order of torchvision's reader. That one refuses every `.mat` file but the two of the
release, so no smaller copy could be read.
"""

from dataclasses import replace
from pathlib import Path

from bissl_ray.data.files.downloads import by_torchvision
from bissl_ray.data.spec import DatasetSpec, DatasetSplits, SplitChoice
from bissl_ray.errors import BadInputError

_LABELS = "flowers-102/imagelabels.mat"
_PARTS = "flowers-102/setid.mat"


def _numbers(path: Path, field: str) -> list[int]:
    """Read one row of whole numbers from a .mat file."""
    import numpy as np
    from scipy.io import loadmat

    try:
        row = np.asarray(loadmat(path)[field]).ravel()
        numbers = row.astype(np.int64)
    except Exception as error:  # scipy raises a dozen kinds on a damaged .mat file
        raise BadInputError(
            f"{path}: can't be read as a .mat file with numbers in the field '{field}' ({type(error).__name__}: "
            f"{error}); put an intact copy there"
        ) from error
    if len(numbers) == 0:
        raise BadInputError(f"{path}: its field '{field}' is empty; put an intact copy there")
    return [int(number) for number in numbers]


def _read(folder: Path, choice: SplitChoice) -> DatasetSplits:
    from bissl_ray.data.files.image_lists import ImageList
    from bissl_ray.data.files.published import from_lists, split

    labels = _numbers(folder / _LABELS, "labels")
    classes = [str(number) for number in range(1, len(set(labels)) + 1)]
    for number, label in enumerate(labels, start=1):
        if not 1 <= label <= len(classes):
            raise BadInputError(
                f"{folder / _LABELS}: gives image {number} class {label}, but it tells {len(classes)} classes apart, "
                f"which should be 1..{len(classes)}; put an intact copy there"
            )

    def listed(field: str) -> ImageList:
        path = folder / _PARTS
        numbers = _numbers(path, field)
        for number in numbers:
            if not 1 <= number <= len(labels):
                raise BadInputError(
                    f"{path}: its field '{field}' names image {number}, but {_LABELS} has labels of the images "
                    f"1..{len(labels)}; put files of the same release there"
                )
        names = [f"image_{number:05d}.jpg" for number in numbers]
        return ImageList(path, names, [labels[number - 1] - 1 for number in numbers])

    lists = [listed(field) for field in ("trnid", "valid", "tstid")]
    files = [folder / path for path in (_LABELS, _PARTS)]
    published = from_lists(folder / "flowers-102" / "jpg", lists, classes, "imagelabels.mat", files)
    # The release has numbers for its flowers, no names.
    return split(replace(published, class_names=None), "flowers", None, choice)


SPEC = DatasetSpec(
    name="flowers",
    title="Oxford 102 Flowers",
    classes=102,
    sizes=(1020, 1020, 6149),
    metric="mean_per_class",
    home=(
        "https://www.robots.ox.ac.uk/~vgg/data/flowers/102 (102flowers.tgz, imagelabels.mat and setid.mat, 330 MB; "
        "to be put and unpacked in the folder flowers-102)."
    ),
    layout="""\
flowers-102/jpg/image_*.jpg                        8,189 images
flowers-102/imagelabels.mat
flowers-102/setid.mat""",
    required=("flowers-102/jpg/", _LABELS, _PARTS),
    reader=_read,
    download=by_torchvision("Flowers102"),
)
