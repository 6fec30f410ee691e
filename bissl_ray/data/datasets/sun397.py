"""SUN397: photographs of 397 scenes (Xiao et al. 2010), the first of its ten partitions: 50 and 50 images per scene.

Validation is a fifth of the 19,850 training images (PAPER, table of datasets). Index files count the training images
in the order of `Training_01.txt`. torchvision's reader knows no partition; the classes are numbered as it does.
"""

from pathlib import Path

from bissl_ray.data.spec import DatasetSpec, DatasetSplits, SplitChoice
from bissl_ray.errors import BadInputError

_VALIDATION_SHARE = 3970 / 19850
# The archive of partitions has no folder of its own; people unpack it at either place.
_TRAINING, _TESTING = (
    (f"SUN397/Partitions/{name}", f"Partitions/{name}") for name in ("Training_01.txt", "Testing_01.txt")
)
_CLASSES = ("SUN397/ClassName.txt", "SUN397/Partitions/ClassName.txt", "Partitions/ClassName.txt")


def _read(folder: Path, choice: SplitChoice) -> DatasetSplits:
    from bissl_ray.data.files.image_lists import ImageList, read_lines
    from bissl_ray.data.files.published import from_lists, split

    class_file = _found(folder, _CLASSES)
    paths = [_found(folder, places) for places in (_TRAINING, _TESTING)]
    classes = [line[0] for line in read_lines(class_file, r"/\S+", "a scene as /a/abbey")]
    label_of = {scene: label for label, scene in enumerate(classes)}

    def listed(path: Path) -> ImageList:
        names, labels = [], []
        for number, line in enumerate(read_lines(path, r"(/\S+)/[^/\s]+", "an image as /a/abbey/sun_a.jpg"), start=1):
            if line[1] not in label_of:
                raise BadInputError(
                    f"{path}, line {number}: shows scene {line[1]!r}, which {class_file} hasn't; "
                    "put files of the same release there"
                )
            names.append(line[0].removeprefix("/"))
            labels.append(label_of[line[1]])
        return ImageList(path, names, labels, range(1, len(names) + 1))

    lists = [listed(path) for path in paths]
    published = from_lists(folder / "SUN397", lists, classes, "ClassName.txt", [class_file, *paths])
    return split(published, "sun397", _VALIDATION_SHARE, choice)


def _found(folder: Path, places: tuple[str, ...]) -> Path:
    return next(folder / place for place in places if (folder / place).is_file())


SPEC = DatasetSpec(
    name="sun397",
    title="SUN397",
    classes=397,
    sizes=(15880, 3970, 19850),
    metric="top1",
    home=(
        "https://vision.princeton.edu/projects/2010/SUN (SUN397.tar.gz, 37 GB, and Partitions.zip, to be unpacked in "
        "the folder SUN397/Partitions); its downloads have often been out of order."
    ),
    layout="""\
SUN397/a/abbey/sun_*.jpg and so on                 39,700 images that the lists name, of 108,754
SUN397/ClassName.txt
SUN397/Partitions/Training_01.txt                  Partitions.zip; the folder may lie beside SUN397, too
SUN397/Partitions/Testing_01.txt""",
    required=("SUN397/", _CLASSES, _TRAINING, _TESTING),
    reader=_read,
)
