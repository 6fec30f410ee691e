"""Food-101: 101,000 photographs of 101 dishes (Bossard et al. 2014).

Validation is a fifth of the 75,750 training images (PAPER, table of datasets).
"""

from pathlib import Path

from bissl_ray.data.files.downloads import by_torchvision
from bissl_ray.data.spec import DatasetSpec, DatasetSplits, SplitChoice
from bissl_ray.errors import BadInputError

_VALIDATION_SHARE = 15150 / 75750
_IMAGES = "food-101/images"
_LISTS = {part: f"food-101/meta/{part}.json" for part in ("train", "test")}


def _read(folder: Path, choice: SplitChoice) -> DatasetSplits:
    from torchvision.datasets import Food101

    from bissl_ray.data.files.image_lists import ImageList, agreeing
    from bissl_ray.data.files.published import from_lists, split

    def listed(part: str) -> tuple[ImageList, list[str]]:
        path = folder / _LISTS[part]
        try:
            food = Food101(folder, part)
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise BadInputError(
                f"{path}: can't be read as JSON that lists images by class ({type(error).__name__}: {error}); "
                "put an intact copy there"
            ) from error
        names = [image.relative_to(folder / _IMAGES).as_posix() for image in food._image_files]
        return ImageList(path, names, food._labels), food.classes

    lists, classes = agreeing([listed(part) for part in _LISTS])
    files = [folder / path for path in _LISTS.values()]
    return split(from_lists(folder / _IMAGES, lists, classes, files[0].name, files), "food", _VALIDATION_SHARE, choice)


SPEC = DatasetSpec(
    name="food",
    title="Food-101",
    classes=101,
    sizes=(60600, 15150, 25250),
    metric="top1",
    home="https://data.vision.ee.ethz.ch/cvl/datasets_extra/food-101 (food-101.tar.gz, 5 GB).",
    layout="""\
food-101/images/CLASS/*.jpg                        101,000 images
food-101/meta/train.json
food-101/meta/test.json""",
    required=("food-101/images/", *_LISTS.values()),
    reader=_read,
    download=by_torchvision("Food101"),
)
