"""Stanford Cars: 16,185 photographs of 196 makes and models (Krause et al. 2013).

Validation is 1,546 of the 8,144 training images (PAPER, table of datasets), and the same share of a
smaller copy.
"""

from pathlib import Path

from bissl_ray.data.spec import DatasetSplits, photographs
from bissl_ray.data.split_choice import SplitChoice
from bissl_ray.errors import BadInputError

_VALIDATION_SHARE = 1546 / 8144
_META = "stanford_cars/devkit/cars_meta.mat"
_ANNOTATIONS = {
    "train": "stanford_cars/devkit/cars_train_annos.mat",
    "test": "stanford_cars/cars_test_annos_withlabels.mat",
}


def _samples(folder: Path, split: str) -> tuple[list[str], list[int], int]:
    """Read one split's file names, labels and number of classes; refuse what training would trip over."""
    import warnings

    from torchvision.datasets import StanfordCars

    annotations = folder / _ANNOTATIONS[split]
    try:
        with warnings.catch_warnings():
            # A class 0 wraps around in the unsigned type of the file; the range check below catches it.
            warnings.filterwarnings("ignore", message="overflow encountered", category=RuntimeWarning)
            cars = StanfordCars(folder, split, download=False)
        names = [Path(path).name for path, _ in cars._samples]
        labels = [int(label) for _, label in cars._samples]
        classes = len(cars.classes)
    except Exception as error:  # scipy raises a dozen kinds on a damaged .mat file
        raise BadInputError(
            f"{annotations}: can't be read, together with {folder / _META}, as Stanford Cars annotations "
            f"with the fields 'fname' and 'class' ({type(error).__name__}: {error}); put intact copies there"
        ) from error
    images = folder / "stanford_cars" / f"cars_{split}"
    present = {path.name for path in images.iterdir()}
    for name, label in zip(names, labels, strict=True):
        if not 0 <= label < classes:
            raise BadInputError(
                f"{annotations}: gives {name} a class outside 1..{classes}, the classes in {_META}; "
                "put files of the same release there"
            )
        if name not in present:
            raise BadInputError(
                f"{images / name}: named in {annotations.name} but absent; the images must lie directly in "
                f"cars_{split}, not in a folder inside it"
            )
    return names, labels, classes


def _read(folder: Path, choice: SplitChoice) -> DatasetSplits:
    from bissl_ray.data.published import Published, split
    from bissl_ray.data.sources import ImageFiles

    names, labels, classes = _samples(folder, "train")
    test_names, test_labels, _ = _samples(folder, "test")
    published = Published(
        train=ImageFiles(folder / "stanford_cars" / "cars_train", names, labels),
        test=ImageFiles(folder / "stanford_cars" / "cars_test", test_names, test_labels),
        classes=classes,
        contents=[(folder / path).read_bytes() for path in (_META, *_ANNOTATIONS.values())],
    )
    return split(published, "cars", _VALIDATION_SHARE, choice)


SPEC = photographs(
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
