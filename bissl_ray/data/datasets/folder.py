"""A person's own images, a folder per class: train/ and test/ with the classes inside, or the classes alone.

Where there are the classes alone, a fifth of each is the test split, the same under every split seed, so that a
checkpoint pretrained under one seed has never seen the test images of another; and a fifth of all images validates.
Beside train/ and test/ there may be val/; without it a fifth of train/ validates. Images in unlabelled/ join the
pretext pool. Other common words for these, in any case, are understood (`files.split_words`).

The data folder is the dataset's own. Several are told apart by names, folder-NAME, and may lie in one data folder as
other datasets do: then each is the folder NAME in it.
"""

import re
from dataclasses import replace
from functools import partial
from pathlib import Path

from bissl_ray.data.spec import DatasetSpec, DatasetSplits, SplitChoice
from bissl_ray.errors import BadInputError

_TEST_SHARE = 1 / 5
_VALIDATION_SHARE = 1 / 5
_PREFIX = "folder-"
# It becomes a folder of the store and a part of file names (store.check_name).
_NAME = re.compile(r"[A-Za-z0-9._-]{1,80}")


def _read(name: str, folder: Path, choice: SplitChoice) -> DatasetSplits:
    from bissl_ray.data.datasets.folder_parts import drawn, split_by_hand
    from bissl_ray.data.files.class_folders import subfolders
    from bissl_ray.data.files.published import split
    from bissl_ray.data.files.split_words import parts_in

    if not folder.is_dir():
        raise BadInputError(f"--data-dir {folder}: found no folder there; expected the one that holds your images")
    inner = folder / name.removeprefix(_PREFIX)
    # One that holds images and no folders is a class that happens to be called so.
    if is_named(name) and inner.is_dir() and subfolders(inner):
        folder = inner
    parts = parts_in(folder, subfolders(folder))
    if "train" in parts:
        published, share = split_by_hand(folder, parts), _VALIDATION_SHARE
    else:
        published, share = drawn(folder, parts, _TEST_SHARE), _VALIDATION_SHARE / (1 - _TEST_SHARE)
    splits = split(published, name, share, choice)
    for part in ("validation", "test"):
        if not len(splits.images(part)):
            raise BadInputError(
                f"{folder}: too few images, the {part} split comes out empty; expected five a class or more"
            )
    return splits


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


SPEC = DatasetSpec(
    name="folder",
    title="Your own folder",
    classes=None,
    sizes=None,
    metric="top1",
    home=(
        "they are your own images. To tell several folders apart on the board, name them: --dataset folder-birds. Its "
        "images lie in the data folder or, if there is one, in birds/ inside it."
    ),
    layout="""\
CLASS/*.jpg ...                              a folder per class, split 60/20/20; or
train/CLASS/*.jpg ...                        split by yourself: training images,
val/CLASS/*.jpg ...                          images to choose by (left out: a fifth of train/),
test/CLASS/*.jpg ...                         and images for the last look; in both cases
unlabelled/*.jpg ...                         further images for the pretext, if you have them""",
    required=(),
    reader=partial(_read, "folder"),
)
