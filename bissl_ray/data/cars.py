"""Stanford Cars: 16,185 photographs of 196 makes and models (Krause et al. 2013).

Validation is 1,546 of the 8,144 training images (PAPER, table of datasets), and the same share of a
smaller copy. The pretext pool is every training image that is not held out for validation.
"""

from pathlib import Path

from bissl_ray.data.spec import IMAGENET_MEAN, IMAGENET_STD, UNLABELLED, DatasetSpec, DatasetSplits
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


def _read(folder: Path, split_seed: int) -> DatasetSplits:
    import numpy as np

    from bissl_ray.data.sources import ImageFiles
    from bissl_ray.data.splits import Indices, fingerprint, stratified_split

    names, labels, classes = _samples(folder, "train")
    test_names, test_labels, _ = _samples(folder, "test")
    held_out = round(len(labels) * _VALIDATION_SHARE)
    train, validation = stratified_split(labels, held_out, split_seed, "cars validation")
    images = folder / "stanford_cars" / "cars_train"

    def labelled_source(indices: Indices) -> ImageFiles:
        return ImageFiles(images, [names[i] for i in indices], [labels[i] for i in indices])

    return DatasetSplits(
        pretext=ImageFiles(images, [names[i] for i in train], [UNLABELLED] * len(train)),
        train=labelled_source(train),
        validation=labelled_source(validation),
        test=ImageFiles(folder / "stanford_cars" / "cars_test", test_names, test_labels),
        classes=classes,
        fingerprint=fingerprint(
            SPEC.name,
            [(folder / path).read_bytes() for path in (_META, *_ANNOTATIONS.values())],
            {"train": train, "validation": validation, "test": np.arange(len(test_labels))},
        ),
    )


SPEC = DatasetSpec(
    name="cars",
    title="Stanford Cars",
    classes=196,
    metric="top1",
    horizontal_flip=True,
    colour=True,
    crop_scale=(0.08, 1.0),
    mean=IMAGENET_MEAN,
    std=IMAGENET_STD,
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
