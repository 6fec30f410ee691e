"""Fashion-MNIST: 70,000 pictures of clothes, greyscale, 28 x 28 pixels, in 10 classes (Xiao, Rasul, Vollgraf 2017)."""

from functools import partial

from bissl_ray.data.datasets.mnist_kin import DrawingFiles, read_drawings
from bissl_ray.data.files.downloads import by_torchvision
from bissl_ray.data.spec import DatasetSpec

_FILES = DrawingFiles(
    # In the data folder itself they lie in Debian's package.
    folders=("FashionMNIST/raw/", ""),
    class_names=(
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    own_labels="3236f6424fc25388b2834cb19942cf7e",
)
# Those of zipped files are torchvision's, the publisher's own; Debian's package, which has the same files, zipped them
# anew. Sums of the files unzipped are as measured there.
_UNZIPPED = {
    "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
}
_PUBLISHED = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}
_DEBIAN = {
    "train-images-idx3-ubyte.gz": "cf8536b0aa1a6ac5fa3f23001093305c",
    "train-labels-idx1-ubyte.gz": "10bea18fdb374794d4bb42e356e600c9",
    "t10k-images-idx3-ubyte.gz": "f78720b4224f21cce2f2ccf2d7a94c9a",
    "t10k-labels-idx1-ubyte.gz": "0d30e22e447f3c33dab9ed536400ac01",
}

SPEC = DatasetSpec(
    name="fashion_mnist",
    title="Fashion-MNIST",
    classes=len(_FILES.class_names),
    sizes=(57_500, 2500, 10_000),
    metric="top1",
    colour=False,
    # Of the 60,000 training images.
    mean=(0.286, 0.286, 0.286),
    std=(0.353, 0.353, 0.353),
    home="https://github.com/zalandoresearch/fashion-mnist; or Debian's package dataset-fashion-mnist: give the folder "
    "that `dpkg -L dataset-fashion-mnist` names.",
    layout=f"{_FILES.layout}\nor these four files in the data folder itself",
    required=_FILES.required,
    reader=partial(read_drawings, _FILES, "fashion_mnist"),
    download=by_torchvision("FashionMNIST"),
    checksums=_FILES.sums(_UNZIPPED) + _FILES.sums(_PUBLISHED) + _FILES.sums(_DEBIAN),
)
