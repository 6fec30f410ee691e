"""A person's own images, a folder per class: train/ and test/ with the classes inside, or the classes alone.

Where there are the classes alone, a fifth of each is the test split, the same under every split seed, so that a
checkpoint pretrained under one seed has never seen the test images of another; and a fifth of all images validates.
Beside train/ and test/ there may be val/; without it a fifth of train/ validates. Images in unlabelled/ join the
pretext pool. The data folder is the dataset's own, so that several are told apart by names, folder-NAME.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bissl_ray.data.spec import UNLABELLED, DatasetSpec, DatasetSplits, photographs
from bissl_ray.data.split_choice import SplitChoice
from bissl_ray.errors import BadInputError, nearest

if TYPE_CHECKING:
    from bissl_ray.data.published import Published
    from bissl_ray.data.sources import ImageFiles

_PARTS = ("train", "val", "test", "unlabelled")
_TEST_SHARE = 1 / 5
_TEST_SEED = 0
_VALIDATION_SHARE = 1 / 5
_PREFIX = "folder-"
# It becomes a folder of the store and a part of file names (store.check_name).
_NAME = re.compile(r"[A-Za-z0-9._-]{1,80}")


def _read(name: str, folder: Path, choice: SplitChoice) -> DatasetSplits:
    from bissl_ray.data.class_folders import subfolders
    from bissl_ray.data.published import split

    if not folder.is_dir():
        raise BadInputError(f"--data-dir {folder}: found no folder there; expected the one that holds your images")
    found = subfolders(folder)
    if "train" in found:
        published, share = _split_by_hand(folder, found), _VALIDATION_SHARE
    else:
        published, share = _drawn(folder, found), _VALIDATION_SHARE / (1 - _TEST_SHARE)
    splits = split(published, name, share, choice)
    for part in ("validation", "test"):
        if not len(getattr(splits, part)):
            raise BadInputError(
                f"{folder}: too few images, the {part} split comes out empty; expected five a class or more"
            )
    return splits


def _split_by_hand(folder: Path, found: Sequence[str]) -> "Published":
    """Read train/, test/ and, where there is one, val/."""
    from bissl_ray.data.class_folders import subfolders
    from bissl_ray.data.published import Published

    for part in found:
        if part not in _PARTS:
            raise BadInputError(
                f"{folder / part}: found beside train/, where {', '.join(_PARTS)} are expected: rename it, or move it "
                f"away{nearest(part, _PARTS)}"
            )
    if "test" not in found:
        raise BadInputError(
            f"{folder}: found train/ without test/; give it test images, that are looked at once and last, or give "
            f"--data-dir {folder / 'train'} to have its images split 60/20/20"
        )
    classes = subfolders(folder / "train")
    _check_classes(folder / "train", classes)
    parts = {}
    for part in ("train", "val", "test"):
        if part in found:
            unlike = sorted(set(subfolders(folder / part)) ^ set(classes))
            if unlike:
                where, other = (part, "train") if unlike[0] not in classes else ("train", part)
                raise BadInputError(
                    f"{folder / where / unlike[0]}: a class that {other}/ lacks; expected the same class folders in "
                    f"train/ and {part}/ ({len(unlike)} are in one of them alone)"
                )
            parts[part] = _labelled(folder / part, classes)
    return Published(
        train=parts["train"],
        validation=parts.get("val"),
        test=parts["test"],
        classes=len(classes),
        contents=[_names(source) for source in parts.values()],
        unlabelled=_unlabelled(folder, found),
    )


def _drawn(folder: Path, found: Sequence[str]) -> "Published":
    """Read class folders and draw the test images."""
    from bissl_ray.data.published import Published
    from bissl_ray.data.splits import stratified_split

    for part in ("test", "val"):
        if part in found:
            raise BadInputError(f"{folder}: found {part}/ without train/; expected train/ and test/, or classes alone")
    classes = [name for name in found if name != "unlabelled"]
    _check_classes(folder, classes)
    images = _labelled(folder, classes)
    labels = [label for label in images.labels if isinstance(label, int)]
    rest, test = stratified_split(labels, round(len(images) * _TEST_SHARE), _TEST_SEED, "folder test")
    return Published(
        train=images.select(rest.tolist()),
        test=images.select(test.tolist()),
        classes=len(classes),
        contents=[_names(images)],
        unlabelled=_unlabelled(folder, found),
    )


def _check_classes(folder: Path, classes: Sequence[str]) -> None:
    if len(classes) >= 2:
        return
    further = ""
    if classes and any((folder / classes[0] / part).is_dir() for part in _PARTS):
        further = f"; it seems to be one folder further in: give --data-dir {folder / classes[0]}"
    raise BadInputError(
        f"{folder}: found {f'the one class folder {classes[0]}/' if classes else 'no class folder'}, expected two or "
        f"more, named as the classes, with images in each{further}"
    )


def _labelled(folder: Path, classes: Sequence[str]) -> "ImageFiles":
    from bissl_ray.data.class_folders import images_by_class
    from bissl_ray.data.sources import ImageFiles

    return ImageFiles(folder, *images_by_class(folder, classes))


def _unlabelled(folder: Path, found: Sequence[str]) -> "ImageFiles | None":
    from bissl_ray.data.class_folders import images_in
    from bissl_ray.data.sources import ImageFiles

    if "unlabelled" not in found:
        return None
    names = images_in(folder / "unlabelled")
    return ImageFiles(folder / "unlabelled", names, [UNLABELLED] * len(names))


def _names(source: "ImageFiles") -> bytes:
    from bissl_ray.data.class_folders import names_content

    return names_content(source.names)


def named(name: str) -> DatasetSpec:
    """The facts of one of a person's folders.

    Args:
        name: `folder-` and what they call it.

    Raises:
        BadInputError: it can't be part of file names.
    """
    called = name.removeprefix(_PREFIX)
    if _NAME.fullmatch(called) is None:
        raise BadInputError(
            f"dataset {name!r}: expected letters, digits, '.', '_' or '-' after '{_PREFIX}', 80 at most, for example "
            f"'{_PREFIX}birds'"
        )
    return replace(SPEC, name=name, title=f"Your folder, {called}", reader=partial(_read, name))


def is_named(name: str) -> bool:
    """Whether a dataset's name is that of one of a person's folders."""
    return name.startswith(_PREFIX)


SPEC = photographs(
    name="folder",
    title="Your own folder",
    classes=None,
    sizes=None,
    metric="top1",
    home="they are your own images. To tell several folders apart on the board, name them: --dataset folder-birds.",
    layout="""\
CLASS/*.jpg ...                              a folder per class, split 60/20/20; or
train/CLASS/*.jpg ...                        split by yourself: training images,
val/CLASS/*.jpg ...                          images to choose by (left out: a fifth of train/),
test/CLASS/*.jpg ...                         and images for the last look; in both cases
unlabelled/*.jpg ...                         further images for the pretext, if you have them""",
    required=(),
    reader=partial(_read, "folder"),
)
