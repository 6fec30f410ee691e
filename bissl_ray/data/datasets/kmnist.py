"""KMNIST: 70,000 characters of cursive Japanese, greyscale, 28 x 28 pixels, in 10 classes (Clanuwat et al. 2018)."""

from functools import partial

from bissl_ray.data.datasets.mnist_kin import DrawingFiles, read_drawings
from bissl_ray.data.files.downloads import by_torchvision
from bissl_ray.data.spec import DatasetSpec

_FILES = DrawingFiles(
    folders=("KMNIST/raw/",), class_names=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
)
_PUBLISHED = {
    "train-images-idx3-ubyte.gz": "bdb82020997e1d708af4cf47b453dcf7",
    "train-labels-idx1-ubyte.gz": "e144d726b3acfaa3e44228e80efcd344",
    "t10k-images-idx3-ubyte.gz": "5c965bf0a639b31b8f53240b1b52f4d7",
    "t10k-labels-idx1-ubyte.gz": "7320c461ea6c1c855c0b718fb2a4b134",
}

SPEC = DatasetSpec(
    name="kmnist",
    title="KMNIST",
    classes=len(_FILES.class_names),
    sizes=(57_500, 2500, 10_000),
    metric="top1",
    horizontal_flip=False,
    colour=False,
    # As of digits: a small piece of a character is a piece of many.
    crop_scale=(0.6, 1.0),
    # As they are commonly given.
    mean=(0.1918, 0.1918, 0.1918),
    std=(0.3483, 0.3483, 0.3483),
    home="https://github.com/rois-codh/kmnist, the files in MNIST's format.",
    layout=_FILES.layout,
    required=_FILES.required,
    reader=partial(read_drawings, _FILES, "kmnist"),
    download=by_torchvision("KMNIST"),
    checksums=_FILES.sums(_PUBLISHED),
)
