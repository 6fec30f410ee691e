"""Describable Textures: 5,640 photographs of 47 textures (Cimpoi et al. 2014), the first of its ten partitions."""

from pathlib import Path

from bissl_ray.data.files.downloads import by_torchvision
from bissl_ray.data.spec import DatasetSpec, DatasetSplits, SplitChoice

_IMAGES = "dtd/dtd/images"
_LISTS = {part: f"dtd/dtd/labels/{part}1.txt" for part in ("train", "val", "test")}


def _read(folder: Path, choice: SplitChoice) -> DatasetSplits:
    from torchvision.datasets import DTD

    from bissl_ray.data.files.image_lists import ImageList, agreeing, read_lines
    from bissl_ray.data.files.published import from_lists, split

    def listed(part: str) -> tuple[ImageList, list[str]]:
        path = folder / _LISTS[part]
        read_lines(path, r"[^/]+/[^/]+", "CLASS/IMAGE")
        textures = DTD(folder, part, partition=1)
        names = [image.relative_to(folder / _IMAGES).as_posix() for image in textures._image_files]
        return ImageList(path, names, textures._labels, range(1, len(names) + 1)), textures.classes

    lists, classes = agreeing([listed(part) for part in _LISTS])
    files = [folder / path for path in _LISTS.values()]
    return split(from_lists(folder / _IMAGES, lists, classes, files[0].name, files), "dtd", None, choice)


SPEC = DatasetSpec(
    name="dtd",
    title="Describable Textures",
    classes=47,
    sizes=(1880, 1880, 1880),
    metric="top1",
    home="https://www.robots.ox.ac.uk/~vgg/data/dtd (dtd-r1.0.1.tar.gz, 600 MB, to be unpacked in the folder dtd).",
    layout="""\
dtd/dtd/images/CLASS/*.jpg                         5,640 images
dtd/dtd/labels/train1.txt
dtd/dtd/labels/val1.txt
dtd/dtd/labels/test1.txt""",
    required=("dtd/dtd/images/", *_LISTS.values()),
    reader=_read,
    download=by_torchvision("DTD"),
)
