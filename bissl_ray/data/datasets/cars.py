"""Stanford Cars: 16,185 photographs of 196 makes and models (Krause et al. 2013).

Validation is 1,546 of the 8,144 training images (PAPER, table of datasets), and the same share of a
smaller copy.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from bissl_ray.data.spec import DatasetSpec, DatasetSplits, SplitChoice
from bissl_ray.errors import BadInputError

if TYPE_CHECKING:
    from bissl_ray.data.files.image_lists import ImageList

_VALIDATION_SHARE = 1546 / 8144
_META = "stanford_cars/devkit/cars_meta.mat"
_ANNOTATIONS = {
    "train": "stanford_cars/devkit/cars_train_annos.mat",
    "test": "stanford_cars/cars_test_annos_withlabels.mat",
}


def _listed(folder: Path, split: str) -> "tuple[ImageList, list[str]]":
    """Read one split's images and the names of the classes."""
    import warnings

    from torchvision.datasets import StanfordCars

    from bissl_ray.data.files.image_lists import ImageList

    annotations = folder / _ANNOTATIONS[split]
    try:
        with warnings.catch_warnings():
            # A class 0 wraps around in the unsigned type of the file; the check of labels catches it.
            warnings.filterwarnings("ignore", message="overflow encountered", category=RuntimeWarning)
            cars = StanfordCars(folder, split, download=False)
        names = [Path(path).relative_to(folder / "stanford_cars").as_posix() for path, _ in cars._samples]
        return ImageList(annotations, names, [int(label) for _, label in cars._samples]), list(cars.classes)
    except Exception as error:  # scipy raises a dozen kinds on a damaged .mat file
        raise BadInputError(
            f"{annotations}: can't be read, together with {folder / _META}, as Stanford Cars annotations "
            f"with the fields 'fname' and 'class' ({type(error).__name__}: {error}); put intact copies there"
        ) from error


def _read(folder: Path, choice: SplitChoice) -> DatasetSplits:
    from bissl_ray.data.files.published import from_lists, split

    train, classes = _listed(folder, "train")
    test, _ = _listed(folder, "test")
    files = [folder / path for path in (_META, *_ANNOTATIONS.values())]
    published = from_lists(folder / "stanford_cars", [train, test], classes, _META, files)
    return split(published, "cars", _VALIDATION_SHARE, choice)


SPEC = DatasetSpec(
    name="cars",
    title="Stanford Cars",
    classes=196,
    sizes=(6598, 1546, 8041),
    metric="top1",
    home=(
        "the original download is gone (pytorch/vision issue 7545 says how to rebuild the layout). Mirrors: "
        "on Kaggle, jessicali9530/stanford-cars-dataset; on Hugging Face, tanganke/stanford_cars (Parquet, "
        "to be unpacked)."
    ),
    layout="""\
stanford_cars/cars_train/*.jpg                     8,144 training images
stanford_cars/cars_test/*.jpg                      8,041 test images
stanford_cars/devkit/cars_train_annos.mat
stanford_cars/devkit/cars_meta.mat
stanford_cars/cars_test_annos_withlabels.mat""",
    required=(
        "stanford_cars/cars_train/",
        "stanford_cars/cars_test/",
        _ANNOTATIONS["train"],
        _META,
        _ANNOTATIONS["test"],
    ),
    reader=_read,
)
