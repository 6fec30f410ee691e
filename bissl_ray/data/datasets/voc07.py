"""PASCAL VOC 2007: 9,963 photographs, each of any number of 20 classes (Everingham et al. 2010).

A label has a number per class, as the devkit counts: 1 where an object of the class is annotated that isn't
"difficult", `UNCERTAIN` where all of them are, else 0. Training, validation and test are published.
"""

from collections.abc import Mapping
from pathlib import Path

from bissl_ray.data.files.downloads import by_torchvision
from bissl_ray.data.spec import UNCERTAIN, DatasetSpec, DatasetSplits, Labelled, SplitChoice
from bissl_ray.errors import BadInputError

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
"""In the devkit's order."""

_ROOT = "VOCdevkit/VOC2007"
_NUMBER = {name: number for number, name in enumerate(CLASSES)}


def _names(lists: Path, part: str, first_seen: dict[str, str]) -> list[str]:
    """Read one split's images; `first_seen` tells where each stood first, in all the lists together."""
    path = lists / f"{part}.txt"
    names = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        name = line.strip()
        if not name:
            continue
        if name in first_seen:
            raise BadInputError(
                f"{path}, line {number}: image {name} occurs twice, first in {first_seen[name]}; put the published "
                "lists there"
            )
        first_seen[name] = f"{path.name}, line {number}"
        names.append(name)
    if not names:
        raise BadInputError(f"{path} names no image; expected one a line, such as 000005")
    return names


def _label(path: Path) -> tuple[int, ...]:
    """Read an image's label from its annotations."""
    from bissl_ray.data.files.plain_data import parse_plain_xml

    label = [0] * len(CLASSES)
    for annotated in parse_plain_xml(path).iterfind("object"):
        name = (annotated.findtext("name") or "").strip()
        if name not in _NUMBER:
            raise BadInputError(
                f"{path}: annotates an object as {name!r}, expected one of VOC's 20 classes ({', '.join(CLASSES[:3])}, "
                "...); put the published file there"
            )
        if (annotated.findtext("difficult") or "0").strip() != "1":
            label[_NUMBER[name]] = 1
        elif not label[_NUMBER[name]]:
            label[_NUMBER[name]] = UNCERTAIN
    return tuple(label)


def _check_present(root: Path, named: Mapping[str, list[str]]) -> None:
    from bissl_ray.data.files.left_out import absent_images

    absent, remaining = [], []
    for folder, ending in (("JPEGImages", "jpg"), ("Annotations", "xml")):
        present = {path.name for path in (root / folder).iterdir()}
        for part, names in named.items():
            for file in (f"{name}.{ending}" for name in names):
                if file not in present:
                    absent.append(f"{root / folder / file}: named in {part}.txt but absent")
                elif folder == "JPEGImages":
                    remaining.append(root / folder / file)
    if absent:
        archives = "VOC 2007 comes as two archives, trainval and test: unpack both into the same folder"
        raise absent_images(absent, remaining, archives)


def _images(root: Path, names: list[str]) -> Labelled:
    from bissl_ray.data.files.sources import ImageFiles

    labels = [_label(root / "Annotations" / f"{name}.xml") for name in names]
    return Labelled(ImageFiles(root / "JPEGImages", [f"{name}.jpg" for name in names]), labels)


def _read(folder: Path, choice: SplitChoice) -> DatasetSplits:
    from bissl_ray.data.files.image_lists import check_every_class
    from bissl_ray.data.files.published import Published, split

    root = folder / _ROOT
    lists = root / "ImageSets" / "Main"
    first_seen: dict[str, str] = {}
    named = {part: _names(lists, part, first_seen) for part in ("train", "val", "test")}
    _check_present(root, named)
    parts = {part: _images(root, names) for part, names in named.items()}
    check_every_class(parts["train"].targets, len(CLASSES), lists / "train.txt", CLASSES)
    published = Published(
        train=parts["train"],
        validation=parts["val"],
        test=parts["test"],
        classes=len(CLASSES),
        class_names=CLASSES,
        contents=[repr((named[part], parts[part].targets)).encode() for part in named],
    )
    return split(published, "voc07", None, choice)


SPEC = DatasetSpec(
    name="voc07",
    title="PASCAL VOC 2007",
    classes=len(CLASSES),
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
