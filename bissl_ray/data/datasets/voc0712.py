"""PASCAL VOC 2007 and 2012 for detection: photographs in which the objects of 20 classes have boxes.

Both years' trainval images train and are validated on; test is that of 2007 (Everingham et al. 2010, 2015).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bissl_ray.data.checks.objects import check_objects
from bissl_ray.data.files.downloads import by_torchvision
from bissl_ray.data.spec import DatasetSpec, DatasetSplits, Labelled, SplitChoice

if TYPE_CHECKING:
    from bissl_ray.data.objects import Objects

_DEVKIT = "VOCdevkit"
_LISTS = {"VOC2007": ("trainval", "test"), "VOC2012": ("trainval",)}
_VALIDATION_SHARE = 0.1


def _objects(devkit: Path, year: str, name: str, faults: list[str]) -> "Objects | None":
    """Read an image's objects; None: something is wrong with its annotations."""
    import numpy as np

    from bissl_ray.data.files.voc import box_in, frame_size, read_annotations
    from bissl_ray.data.objects import Objects

    path = devkit / year / "Annotations" / f"{name}.xml"
    read = read_annotations(path, faults)
    if read is None:
        return None
    root, annotated = read
    size = frame_size(root)
    if size is None:
        faults.append(f"{path}: has no size, or one of 0; expected width and height of the image in pixels")
        return None
    boxes = [box for each in annotated if (box := box_in(each, size, path, faults)) is not None]
    if len(boxes) < len(annotated):
        return None
    edges = np.array(boxes, np.float64).reshape(-1, 4)
    width, height = size
    return Objects(
        boxes=edges / (width, height, width, height),
        classes=np.array([each.number for each in annotated], np.int64),
        crowd=np.zeros(len(annotated), np.bool_),
        difficult=np.array([each.difficult for each in annotated], np.bool_),
        areas=(edges[:, 2:] - edges[:, :2]).prod(axis=1),
        height=height,
        width=width,
        image_id=f"{year}/{name}",
    )


def _images(devkit: Path, named: Sequence[tuple[str, str]], faults: list[str]) -> tuple[Labelled, bytes]:
    """Images by year and name, and bytes that are others when their annotations are."""
    from bissl_ray.data.files.sources import ImageFiles
    from bissl_ray.data.objects import Objects

    read = [_objects(devkit, year, name, faults) for year, name in named]
    objects = Objects.packed(each for each in read if each is not None)
    files = [
        f"{year}/JPEGImages/{name}.jpg" for (year, name), each in zip(named, read, strict=True) if each is not None
    ]
    return Labelled(ImageFiles(devkit, files), objects), objects.digest()


def _read(folder: Path, choice: SplitChoice) -> DatasetSplits:
    from bissl_ray.data.files.left_out import refuse_annotations
    from bissl_ray.data.files.published import Published, split
    from bissl_ray.data.files.voc import CLASSES, check_present, read_names

    devkit = folder / _DEVKIT
    lists: dict[str, dict[str, list[str]]] = {}
    for year, parts in _LISTS.items():
        first_seen: dict[str, str] = {}
        lists[year] = {part: read_names(devkit / year / "ImageSets" / "Main", part, first_seen) for part in parts}
    check_present(
        {devkit / year: named for year, named in lists.items()},
        "VOC comes as three archives, trainval and test of 2007 and trainval of 2012: unpack all into the same folder",
    )
    known, test = (
        [(year, name) for year, named in lists.items() for name in named.get(part, ())] for part in ("trainval", "test")
    )
    faults: list[str] = []
    (train, train_bytes), (tested, test_bytes) = (_images(devkit, images, faults) for images in (known, test))
    refuse_annotations(faults, f"correct them or put the published files there; {SPEC.check_command(folder)} lists all")
    published = Published(
        train=train,
        test=tested,
        classes=len(CLASSES),
        class_names=CLASSES,
        contents=[train_bytes, test_bytes],
    )
    return split(published, SPEC.name, _VALIDATION_SHARE, choice)


SPEC = DatasetSpec(
    name="voc0712",
    title="PASCAL VOC 2007+2012",
    classes=20,
    sizes=(14896, 1655, 4952),
    metric="ap50",
    task="detection",
    check=check_objects,
    home=(
        "https://thor.robots.ox.ac.uk/pascal/VOC/, VOCtrainval_06-Nov-2007.tar, VOCtest_06-Nov-2007.tar and "
        "VOCtrainval_11-May-2012.tar, all unpacked into the data folder."
    ),
    layout=f"""\
{_DEVKIT}/VOC2007/JPEGImages/*.jpg               9,963 images
{_DEVKIT}/VOC2007/Annotations/*.xml              the objects of each
{_DEVKIT}/VOC2007/ImageSets/Main/trainval.txt    5,011 of them
{_DEVKIT}/VOC2007/ImageSets/Main/test.txt        4,952 of them
{_DEVKIT}/VOC2012/JPEGImages/*.jpg               17,125 images
{_DEVKIT}/VOC2012/Annotations/*.xml              the objects of each
{_DEVKIT}/VOC2012/ImageSets/Main/trainval.txt    11,540 of them""",
    required=tuple(
        path
        for year, parts in _LISTS.items()
        for path in (
            f"{_DEVKIT}/{year}/JPEGImages/",
            f"{_DEVKIT}/{year}/Annotations/",
            *(f"{_DEVKIT}/{year}/ImageSets/Main/{part}.txt" for part in parts),
        )
    ),
    reader=_read,
    download=by_torchvision(
        "VOCDetection",
        *({"year": year[3:], "image_set": part} for year, parts in _LISTS.items() for part in parts),
    ),
)
