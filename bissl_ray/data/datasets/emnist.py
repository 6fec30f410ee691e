"""EMNIST, its split "balanced": 131,600 written digits and letters of 28 x 28 pixels in 47 classes (Cohen et al. 2017).

That split has every letter, and as many images of each class, which the larger ones don't; of letters that look alike
in both cases the two are one class. Images are published with rows and columns exchanged; here they stand upright.
"""

import string
from functools import partial

from bissl_ray.data.datasets.mnist_kin import DrawingFiles, read_drawings
from bissl_ray.data.files.downloads import by_torchvision
from bissl_ray.data.spec import DatasetSpec

_FILES = DrawingFiles(
    folders=("EMNIST/raw/",),
    class_names=(*string.digits, *string.ascii_uppercase, *"abdefghnqrt"),
    train=("emnist-balanced-train-images-idx3-ubyte", "emnist-balanced-train-labels-idx1-ubyte"),
    test=("emnist-balanced-test-images-idx3-ubyte", "emnist-balanced-test-labels-idx1-ubyte"),
    transposed=True,
)

SPEC = DatasetSpec(
    name="emnist",
    title="EMNIST balanced",
    classes=len(_FILES.class_names),
    sizes=(108_100, 4700, 18_800),
    metric="top1",
    horizontal_flip=False,
    colour=False,
    # As of digits: a small piece of a character is a piece of many.
    crop_scale=(0.6, 1.0),
    # As they are commonly given.
    mean=(0.1751, 0.1751, 0.1751),
    std=(0.3332, 0.3332, 0.3332),
    home="https://www.nist.gov/itl/products-and-services/emnist-dataset, the binary format, gzip.zip.",
    layout=_FILES.layout,
    required=_FILES.required,
    reader=partial(read_drawings, _FILES, "emnist"),
    # No sums: one is published of the archive alone, and a zipped file shows damage by itself.
    download=by_torchvision("EMNIST", {"split": "balanced"}),
)
