"""STL-10: 13,000 labelled images of 96 x 96 pixels in 10 classes, and 100,000 without labels (Coates et al. 2011).

The pretext pool is the unlabelled images and those trained on; a fifth of the 5,000 training images validate (PAPER).
"""

from pathlib import Path

from bissl_ray.data.files.downloads import by_torchvision
from bissl_ray.data.spec import DatasetSpec, DatasetSplits, Labelled, SplitChoice
from bissl_ray.errors import BadInputError

_CLASSES = 10
_SIDE = 96
_IMAGE_BYTES = 3 * _SIDE * _SIDE
_VALIDATION_SHARE = 1 / 5


def _count(images: Path) -> int:
    count, rest = divmod(images.stat().st_size, _IMAGE_BYTES)
    if rest or not count:
        raise BadInputError(
            f"{images}: holds {images.stat().st_size:,} bytes, expected a multiple of {_IMAGE_BYTES:,}, the bytes of "
            "an image; it may have been cut short: put the complete file there"
        )
    return count


def _labels(images: Path, labels: Path) -> list[int]:
    """Read one part's labels, from 0; refuse what training would trip over."""
    numbers = list(labels.read_bytes())
    if len(numbers) != _count(images):
        raise BadInputError(
            f"{labels}: holds {len(numbers):,} labels, and {images.name} beside it {_count(images):,} images; put "
            "files of the same release there"
        )
    for place, number in enumerate(numbers):
        if not 1 <= number <= _CLASSES:
            raise BadInputError(
                f"{labels}: image {place} has label {number}, expected 1 .. {_CLASSES}; put an intact copy there"
            )
    return [number - 1 for number in numbers]


def _read(folder: Path, choice: SplitChoice) -> DatasetSplits:
    from bissl_ray.data.files.image_lists import check_every_class
    from bissl_ray.data.files.published import Published, split
    from bissl_ray.data.files.sources import MappedImages

    binaries = folder / "stl10_binary"

    def source(part: str) -> Labelled:
        images = binaries / f"{part}_X.bin"
        labels = _labels(images, binaries / f"{part}_y.bin")
        return Labelled(MappedImages(images, _SIDE, range(len(labels))), labels)

    train, test = source("train"), source("test")
    check_every_class(train.targets, _CLASSES, binaries / "train_y.bin")
    unlabelled = binaries / "unlabeled_X.bin"
    published = Published(
        train=train,
        test=test,
        classes=_CLASSES,
        contents=[(binaries / f"{part}_y.bin").read_bytes() for part in ("train", "test")],
        unlabelled=MappedImages(unlabelled, _SIDE, range(_count(unlabelled))),
    )
    return split(published, "stl10", _VALIDATION_SHARE, choice)


_CHECKSUMS = (
    ("stl10_binary/train_X.bin", "918c2871b30a85fa023e0c44e0bee87f"),
    ("stl10_binary/train_y.bin", "5a34089d4802c674881badbb80307741"),
    ("stl10_binary/test_X.bin", "7f263ba9f9e0b06b93213547f721ac82"),
    ("stl10_binary/test_y.bin", "36f9794fa4beb8a2c72628de14fa638e"),
    ("stl10_binary/unlabeled_X.bin", "5242ba1fed5e4be9e1e742405eb56ca4"),
)
_FILES = tuple(path for path, _ in _CHECKSUMS)

SPEC = DatasetSpec(
    name="stl10",
    title="STL-10",
    classes=_CLASSES,
    sizes=(4000, 1000, 8000),
    metric="top1",
    home="https://cs.stanford.edu/~acoates/stl10/, the binary files (2.6 GB).",
    layout="\n".join(_FILES),
    required=_FILES,
    reader=_read,
    download=by_torchvision("STL10"),
    checksums=_CHECKSUMS,
)
