"""A person's own images, a folder per class: train/ and test/ with the classes inside, or the classes alone.

Where there are the classes alone, a fifth of each is the test split, the same under every split seed, so that a
checkpoint pretrained under one seed has never seen the test images of another; and a fifth of all images validates.
Beside train/ and test/ there may be val/; without it a fifth of train/ validates. Images in unlabelled/ join the
pretext pool. Other common words for these, in any case, are understood (`files.split_words`).

The data folder is the dataset's own; several are told apart by names, folder-NAME (`own_folders`).
"""

from functools import partial
from pathlib import Path

from bissl_ray.data.datasets.own_folders import OwnFolders, own_folder
from bissl_ray.data.spec import DatasetSpec, DatasetSplits, SplitChoice
from bissl_ray.errors import BadInputError

_TEST_SHARE = 1 / 5
_VALIDATION_SHARE = 1 / 5


def _read(name: str, folder: Path, choice: SplitChoice) -> DatasetSplits:
    from bissl_ray.data.datasets.folder_parts import drawn, split_by_hand
    from bissl_ray.data.files.class_folders import subfolders
    from bissl_ray.data.files.published import split
    from bissl_ray.data.files.split_words import parts_in

    # One that holds images and no folders is a class that happens to be called so.
    folder = own_folder(name, folder, lambda inner: bool(subfolders(inner)))
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
NAMED = OwnFolders(SPEC, "Your folder", _read)
