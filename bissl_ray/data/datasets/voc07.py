"""PASCAL VOC 2007: 9,963 photographs, each of any number of 20 classes (Everingham et al. 2010).

A label has a number per class, as the devkit counts: 1 where an object of the class is annotated that isn't
"difficult", `UNCERTAIN` where all of them are, else 0. Training, validation and test are published.
"""

from pathlib import Path

from bissl_ray.data.files.downloads import by_torchvision
from bissl_ray.data.spec import UNCERTAIN, DatasetSpec, DatasetSplits, Labelled, SplitChoice

_ROOT = "VOCdevkit/VOC2007"
_CLASSES = 20


def _label(path: Path, faults: list[str]) -> tuple[int, ...]:
    """Read an image's label from its annotations."""
    from bissl_ray.data.files.voc import read_annotations

    label = [0] * _CLASSES
    read = read_annotations(path, faults)
    for annotated in () if read is None else read[1]:
        if not annotated.difficult:
            label[annotated.number] = 1
        elif not label[annotated.number]:
            label[annotated.number] = UNCERTAIN
    return tuple(label)


def _images(root: Path, names: list[str], faults: list[str]) -> Labelled:
    from bissl_ray.data.files.sources import ImageFiles

    labels = [_label(root / "Annotations" / f"{name}.xml", faults) for name in names]
    return Labelled(ImageFiles(root / "JPEGImages", [f"{name}.jpg" for name in names]), labels)


def _read(folder: Path, choice: SplitChoice) -> DatasetSplits:
    from bissl_ray.data.files.image_lists import check_every_class
    from bissl_ray.data.files.left_out import refuse_annotations
    from bissl_ray.data.files.published import Published, split
    from bissl_ray.data.files.voc import CLASSES, check_present, read_names

    root = folder / _ROOT
    lists = root / "ImageSets" / "Main"
    first_seen: dict[str, str] = {}
    named = {part: read_names(lists, part, first_seen) for part in ("train", "val", "test")}
    archives = "VOC 2007 comes as two archives, trainval and test: unpack both into the same folder"
    check_present({root: named}, archives)
    faults: list[str] = []
    parts = {part: _images(root, names, faults) for part, names in named.items()}
    refuse_annotations(faults, f"put the published files there; {SPEC.check_command(folder)} lists all")
    check_every_class(parts["train"].targets, _CLASSES, lists / "train.txt", CLASSES)
    published = Published(
        train=parts["train"],
        validation=parts["val"],
        test=parts["test"],
        classes=_CLASSES,
        class_names=CLASSES,
        contents=[repr((named[part], parts[part].targets)).encode() for part in named],
    )
    return split(published, "voc07", None, choice)


SPEC = DatasetSpec(
    name="voc07",
    title="PASCAL VOC 2007",
    classes=_CLASSES,
    sizes=(2501, 2510, 4952),
    metric="map11",
    task="multi_label",
    home=(
        "https://thor.robots.ox.ac.uk/pascal/VOC/voc2007/, VOCtrainval_06-Nov-2007.tar and VOCtest_06-Nov-2007.tar, "
        "both unpacked into the data folder."
    ),
    layout=f"""\
{_ROOT}/JPEGImages/*.jpg                     9,963 images
{_ROOT}/Annotations/*.xml                    what each shows
{_ROOT}/ImageSets/Main/train.txt             2,501 of them
{_ROOT}/ImageSets/Main/val.txt               2,510 of them
{_ROOT}/ImageSets/Main/test.txt              4,952 of them""",
    required=(
        f"{_ROOT}/JPEGImages/",
        f"{_ROOT}/Annotations/",
        *(f"{_ROOT}/ImageSets/Main/{part}.txt" for part in ("train", "val", "test")),
    ),
    reader=_read,
    download=by_torchvision("VOCDetection", *({"year": "2007", "image_set": part} for part in ("trainval", "test"))),
)
