"""Caltech-UCSD Birds 200-2011: 11,788 photographs of 200 birds (Wah et al. 2011).

Validation is 1,194 of the 5,994 training images (PAPER, table of datasets), and the same share of a smaller copy.
Index files count the training images in the order of `images.txt`. torchvision has no reader of it.
"""

import re
from pathlib import Path

from bissl_ray.data.files.downloads import archive
from bissl_ray.data.spec import DatasetSpec, DatasetSplits, SplitChoice
from bissl_ray.errors import BadInputError

_VALIDATION_SHARE = 1194 / 5994
_FOLDER = "CUB_200_2011"
_CLASSES = f"{_FOLDER}/classes.txt"
_NAMES = f"{_FOLDER}/images.txt"
_LABELS = f"{_FOLDER}/image_class_labels.txt"
_PARTS = f"{_FOLDER}/train_test_split.txt"


def _by_number(path: Path, value: str, expected: str) -> dict[int, re.Match[str]]:
    """Read a file of lines NUMBER VALUE; the value is group 2 of the match."""
    from bissl_ray.data.files.image_lists import read_lines

    table: dict[int, re.Match[str]] = {}
    for line, match in enumerate(read_lines(path, rf"(\d+) ({value})", expected), start=1):
        number = int(match[1])
        if number in table:
            raise BadInputError(f"{path}, line {line}: number {number} occurs a second time; put an intact copy there")
        table[number] = match
    return table


def _of_every_image(path: Path, value: str, expected: str, images: dict[int, re.Match[str]]) -> dict[int, int]:
    """Read a file with one number for every image of `images.txt`."""
    table = _by_number(path, value, expected)
    for number in sorted({*images} ^ {*table}):
        has, lacks = ("images.txt", path.name) if number in images else (path.name, "images.txt")
        raise BadInputError(
            f"{path.with_name(lacks)}: has no line for image {number}, which {has} has; "
            "put files of the same release there"
        )
    return {number: int(match[2]) for number, match in table.items()}


def _read(folder: Path, choice: SplitChoice) -> DatasetSplits:
    from bissl_ray.data.files.image_lists import ImageList
    from bissl_ray.data.files.published import from_lists, split

    names = _by_number(folder / _NAMES, r"\S+", "the number of an image and its path")
    labels = _of_every_image(folder / _LABELS, r"\d+", "the numbers of an image and its class", names)
    trained_on = _of_every_image(folder / _PARTS, "[01]", "the number of an image, and 1 (training) or 0", names)
    table = _by_number(folder / _CLASSES, r"\S+", "the number of a class and its name")
    classes = [table[number][2] for number in sorted(table)]
    if sorted(table) != list(range(1, len(table) + 1)):
        raise BadInputError(f"{folder / _CLASSES}: its classes aren't numbered from 1 on; put an intact copy there")
    for number, label in labels.items():
        if label not in table:
            raise BadInputError(
                f"{folder / _LABELS}: gives image {number} class {label}, which classes.txt hasn't; "
                "put files of the same release there"
            )

    def listed(training: int) -> ImageList:
        lines = {line: number for line, number in enumerate(names, start=1) if trained_on[number] == training}
        part_names = [names[number][2] for number in lines.values()]
        return ImageList(folder / _NAMES, part_names, [labels[number] - 1 for number in lines.values()], list(lines))

    lists = [listed(1), listed(0)]
    files = [folder / path for path in (_CLASSES, _NAMES, _LABELS, _PARTS)]
    published = from_lists(folder / _FOLDER / "images", lists, classes, "classes.txt", files)
    return split(published, "cub200", _VALIDATION_SHARE, choice)


SPEC = DatasetSpec(
    name="cub200",
    title="CUB-200-2011",
    classes=200,
    sizes=(4800, 1194, 5794),
    metric="top1",
    home="https://data.caltech.edu/records/65de6-vp158 (CUB_200_2011.tgz, 1.2 GB).",
    layout="""\
CUB_200_2011/images/CLASS/*.jpg                    11,788 images
CUB_200_2011/classes.txt
CUB_200_2011/images.txt
CUB_200_2011/image_class_labels.txt
CUB_200_2011/train_test_split.txt""",
    required=(f"{_FOLDER}/images/", _CLASSES, _NAMES, _LABELS, _PARTS),
    reader=_read,
    download=archive(
        "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz", "97eceeb196236b17998738112f37df78"
    ),
)
