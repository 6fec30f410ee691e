"""FGVC Aircraft: 10,000 photographs of 100 variants of aircraft (Maji et al. 2013)."""

import re
from pathlib import Path

from bissl_ray.data.files.downloads import by_torchvision
from bissl_ray.data.spec import DatasetSpec, DatasetSplits, SplitChoice

_DATA = "fgvc-aircraft-2013b/data"
_VARIANTS = f"{_DATA}/variants.txt"
_LISTS = {part: f"{_DATA}/images_variant_{part}.txt" for part in ("train", "val", "test")}


def _read(folder: Path, choice: SplitChoice) -> DatasetSplits:
    from torchvision.datasets import FGVCAircraft

    from bissl_ray.data.files.image_lists import ImageList, read_lines
    from bissl_ray.data.files.published import from_lists, split

    variants = [line[0] for line in read_lines(folder / _VARIANTS, r"\S.*", "the name of a variant")]
    one_of_them = "|".join(re.escape(variant) for variant in variants)

    def listed(part: str) -> ImageList:
        path = folder / _LISTS[part]
        read_lines(path, rf"\d+ ({one_of_them})", "the number of an image and a variant that variants.txt has")
        aircraft = FGVCAircraft(folder, part, "variant")
        names = [Path(image).name for image in aircraft._image_files]
        return ImageList(path, names, aircraft._labels, range(1, len(names) + 1))

    lists = [listed(part) for part in _LISTS]
    files = [folder / path for path in (_VARIANTS, *_LISTS.values())]
    published = from_lists(folder / _DATA / "images", lists, variants, "variants.txt", files)
    return split(published, "aircrafts", None, choice)


SPEC = DatasetSpec(
    name="aircrafts",
    title="FGVC Aircraft",
    classes=100,
    sizes=(3334, 3333, 3333),
    metric="mean_per_class",
    home="https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft (fgvc-aircraft-2013b.tar.gz, 2.6 GB).",
    layout="""\
fgvc-aircraft-2013b/data/images/*.jpg              10,000 images
fgvc-aircraft-2013b/data/variants.txt
fgvc-aircraft-2013b/data/images_variant_train.txt
fgvc-aircraft-2013b/data/images_variant_val.txt
fgvc-aircraft-2013b/data/images_variant_test.txt""",
    required=(f"{_DATA}/images/", _VARIANTS, *_LISTS.values()),
    reader=_read,
    download=by_torchvision("FGVCAircraft"),
)
