"""Oxford-IIIT Pets: 7,349 photographs of 37 breeds of cats and dogs (Parkhi et al. 2012).

Validation is 734 of the 3,680 training images (PAPER, table of datasets), and the same share of a smaller copy.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bissl_ray.data.files.downloads import by_torchvision
from bissl_ray.data.spec import DatasetSpec, DatasetSplits, SplitChoice
from bissl_ray.errors import BadInputError

if TYPE_CHECKING:
    from bissl_ray.data.files.image_lists import ImageList

_VALIDATION_SHARE = 734 / 3680
_IMAGES = "oxford-iiit-pet/images"
_LISTS = {part: f"oxford-iiit-pet/annotations/{part}.txt" for part in ("trainval", "test")}


def _read(folder: Path, choice: SplitChoice) -> DatasetSplits:
    from torchvision.datasets import OxfordIIITPet

    from bissl_ray.data.files.image_lists import ImageList, read_lines
    from bissl_ray.data.files.published import from_lists, split

    def listed(part: str) -> ImageList:
        path = folder / _LISTS[part]
        read_lines(path, r"\S+_\d+ \d+ \d+ \d+", "an image as BREED_1, and three numbers: class, species, breed")
        pets = OxfordIIITPet(folder, part)
        names = [image.name for image in pets._images]
        return ImageList(path, names, pets._labels, range(1, len(names) + 1))

    lists = [listed("trainval"), listed("test")]
    breeds = _breeds(lists)
    files = [folder / path for path in _LISTS.values()]
    published = from_lists(folder / _IMAGES, lists, breeds, "trainval.txt, by the names of the images", files)
    return split(published, "pets", _VALIDATION_SHARE, choice)


def _breeds(lists: "Sequence[ImageList]") -> list[str]:
    """Names of the breeds in the order of their classes; an image's name begins with its breed."""
    class_of: dict[str, int] = {}
    for part in lists:
        for index, (name, label) in enumerate(zip(part.names, part.labels, strict=True)):
            breed = name.rpartition("_")[0]
            known = class_of.setdefault(breed, label)
            if label != known:
                raise BadInputError(
                    f"{part.place(index)}: gives {name} class {label + 1}, but other images of {breed} have class "
                    f"{known + 1}; put files of the same release there"
                )
    return sorted(class_of, key=class_of.__getitem__)


SPEC = DatasetSpec(
    name="pets",
    title="Oxford-IIIT Pets",
    classes=37,
    sizes=(2946, 734, 3669),
    metric="mean_per_class",
    home="https://www.robots.ox.ac.uk/~vgg/data/pets (images.tar.gz and annotations.tar.gz, 800 MB).",
    layout="""\
oxford-iiit-pet/images/*.jpg                       7,349 images that the lists name
oxford-iiit-pet/annotations/trainval.txt
oxford-iiit-pet/annotations/test.txt""",
    required=("oxford-iiit-pet/images/", *_LISTS.values()),
    reader=_read,
    download=by_torchvision("OxfordIIITPet"),
)
