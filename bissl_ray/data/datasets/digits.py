"""Digits: 1,797 real scanned digits that ship with scikit-learn, arranged as a task with few labels.

The published set (Alpaydin and Kaynak 1998, UCI "Optical Recognition of Handwritten Digits", test part)
has no split of its own. Ours: 597 test images, the same under every split seed, so that a checkpoint
pretrained under one seed has never seen the test images of another; 300 validation images; 10 labelled
training images per class, or as many as are asked for; and a pretext pool of all 900 images that are neither
validation nor test.
Logistic regression on the pixels of the 100 labelled images reaches 87-91 % on validation.
"""

import gzip
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from bissl_ray.data.spec import DatasetSpec, DatasetSplits, Labelled, SplitChoice
from bissl_ray.errors import BadInputError

if TYPE_CHECKING:
    from bissl_ray.data.splits import Indices

_TEST = 597
_VALIDATION = 300
_TRAIN = 100
_TEST_SEED = 0
_FILE = ("datasets", "data", "digits.csv.gz")
"""In scikit-learn's package."""


@dataclass(frozen=True)
class Scans:
    """All scans, and which of them are for what.

    Attributes:
        grey: int64 (n, 8, 8), from 0, the ground, to 16.
        labels: int64 (n,).
        names: of the classes.
        pool: indices of those that may be trained on.
        validation: indices, drawn from the split's seed.
        test: indices, the same under every seed.
    """

    grey: "Indices"
    labels: "Indices"
    names: tuple[str, ...]
    pool: "Indices"
    validation: "Indices"
    test: "Indices"


def split_scans(choice: SplitChoice, dataset: str) -> Scans:
    """Read the scans and split them.

    Args:
        choice: of the split.
        dataset: what they are read for.

    Raises:
        BadInputError: the choice's folder holds index files for the dataset.
    """
    from bissl_ray.data.files.split_files import holds_split, split_paths
    from bissl_ray.data.splits import stratified_split

    if choice.folder is not None and holds_split(choice.folder, dataset):
        files = " or ".join(path.name for path in split_paths(choice.folder, dataset))
        raise BadInputError(
            f"{choice.folder}: found {files}, and {dataset} have no published training set that indices could count; "
            "take the files away"
        )
    grey, labels = read_scans()
    rest, test = stratified_split(labels.tolist(), _TEST, _TEST_SEED, "digits test")
    kept, validation = stratified_split(labels[rest].tolist(), _VALIDATION, choice.seed, "digits validation")
    return Scans(grey, labels, tuple("0123456789"), rest[kept], rest[validation], test)


def read_scans() -> tuple["Indices", "Indices"]:
    """Grey values (n, 8, 8) and labels (n,), as `sklearn.datasets.load_digits` has them.

    Its file is read past it where that lies in its usual place: importing sklearn.datasets takes 1.3 s of every process
    that opens the digits, for what it holds besides.
    """
    import numpy as np

    package = find_spec("sklearn")
    file = None if package is None else Path((package.submodule_search_locations or [""])[0], *_FILE)
    if file is None or not file.is_file():
        from sklearn.datasets import load_digits

        digits = load_digits()
        return digits.images.astype(np.int64), digits.target.astype(np.int64)
    with gzip.open(file, "rt") as rows:
        found = np.loadtxt(rows, delimiter=",").astype(np.int64)
    return found[:, :-1].reshape(-1, 8, 8), found[:, -1]


def _read(_folder: Path, choice: SplitChoice) -> DatasetSplits:
    import numpy as np
    import torch

    from bissl_ray.data.files.sources import TensorImages
    from bissl_ray.data.splits import fingerprint, stratified_split

    scans = split_scans(choice, SPEC.name)
    pool = scans.pool
    grey = np.rint(scans.grey * (255 / 16)).astype(np.uint8)
    images = torch.from_numpy(grey).unsqueeze(1).repeat(1, 3, 1, 1)
    _, labelled = stratified_split(scans.labels[pool].tolist(), _TRAIN, choice.seed, "digits train")
    parts = {"train": pool[labelled], "validation": scans.validation, "test": scans.test}

    def images_of(indices: "Indices") -> TensorImages:
        return TensorImages(images[indices], SPEC.name, indices.tolist())

    labelled_parts = {name: Labelled(images_of(own), scans.labels[own].tolist()) for name, own in parts.items()}
    contents = [grey.tobytes(), scans.labels.astype("<i8").tobytes()]
    return DatasetSplits(
        pretext=images_of(pool),
        train=labelled_parts["train"],
        validation=labelled_parts["validation"],
        test=labelled_parts["test"],
        classes=len(scans.names),
        fingerprint=fingerprint(SPEC.name, contents, {"pretext": pool, **parts}),
        labelled_fingerprint=fingerprint(SPEC.name, contents, parts),
        validation_from=f"drawn, seed {choice.seed}",
        class_names=scans.names,
        labelled_pool=Labelled(images_of(pool), scans.labels[pool].tolist()),
    )


SPEC = DatasetSpec(
    name="digits",
    title="Digits",
    classes=10,
    sizes=(_TRAIN, _VALIDATION, _TEST),
    metric="top1",
    horizontal_flip=False,
    colour=False,
    # Less than 0.6 cuts a digit to a piece of another: SimCLR from (0.4, 1) fine-tuned 1-2 points worse.
    crop_scale=(0.6, 1.0),
    mean=(0.305, 0.305, 0.305),
    std=(0.376, 0.376, 0.376),
    home="it ships with scikit-learn (sklearn.datasets.load_digits).",
    layout="nothing: no data folder is needed",
    required=(),
    reader=_read,
    embedded=True,
)
