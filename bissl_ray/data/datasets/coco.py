"""A person's own images with boxes, in a folder in COCO's form (Lin et al. 2014), as most tools export it.

Of train, val and test, all annotated, each is what it says. Of train and val, as COCO publishes them, val is the test
split; without a val beside test a tenth of train validates, drawn, in both cases. Of one file of all images a fifth is
the test split, the same under every split seed, and a fifth validates, as for class folders (`folder`).
"""

import shlex
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bissl_ray.data.checks.objects import check_objects
from bissl_ray.data.datasets.own_folders import OwnFolders, own_folder, own_name
from bissl_ray.data.spec import DatasetSpec, DatasetSplits, SplitChoice

if TYPE_CHECKING:
    from bissl_ray.data.datasets.coco_parts import CocoParts
    from bissl_ray.data.files.published import Published

_TEST_SHARE = 1 / 5
_VALIDATION_SHARE = 1 / 5
_OF_TRAIN = 1 / 10
_TEST_SEED = 0


def _read(name: str, folder: Path, choice: SplitChoice) -> DatasetSplits:
    from bissl_ray.data.datasets.coco_layout import annotation_files, parts_of
    from bissl_ray.data.datasets.coco_parts import read_parts
    from bissl_ray.data.files.published import split
    from bissl_ray.data.files.split_words import part_called

    check = f"bissl-ray datasets check {name} --data-dir {shlex.quote(str(folder))}"
    # A part of the data folder may be called as the dataset is.
    is_part = part_called(own_name(name)) is not None
    folder = own_folder(name, folder, lambda inner: not is_part and bool(annotation_files(inner)))
    files = parts_of(folder, annotation_files(folder))
    read = read_parts(folder, files, f"correct the annotations, or take these out ({check} lists all)")
    published, share, how = _published(read)
    if "val" in files:
        published = replace(published, validation_from=f"from {files['val']}")
    splits = split(published, name, share, choice)
    return replace(
        splits,
        validation_from=splits.validation_from + how,
        left_out=tuple(read.left_out),
        annotation_files=tuple(files.values()),
    )


def _published(read: "CocoParts") -> "tuple[Published, float, str]":
    """The parts as they are split; the share of the training images to validate with; more on how, in words."""
    from bissl_ray.data.datasets.coco_layout import ALONE
    from bissl_ray.data.files.published import Published
    from bissl_ray.data.strata import iterative_split, shown_classes

    parts = read.parts
    made = partial(Published, classes=len(read.class_names), class_names=read.class_names, contents=read.contents)
    if ALONE in parts:
        images = parts[ALONE]
        held_out = round(len(images) * _TEST_SHARE)
        shown = [shown_classes(objects) for objects in images.targets]
        rest, test = iterative_split(shown, held_out, _TEST_SEED, "coco test")
        share = _VALIDATION_SHARE / (1 - _TEST_SHARE)
        return made(train=images.select(rest.tolist()), test=images.select(test.tolist())), share, ""
    if "test" not in parts:
        how = "; val, as published, is the test split"
        return made(train=parts["train"], test=parts["val"]), _OF_TRAIN, how
    return made(train=parts["train"], validation=parts.get("val"), test=parts["test"]), _OF_TRAIN, ""


SPEC = DatasetSpec(
    name="coco",
    title="Your COCO folder",
    classes=None,
    sizes=None,
    metric="ap",
    task="detection",
    check=check_objects,
    home=(
        "they are your own images, or COCO's from https://cocodataset.org. To tell several folders apart on the board, "
        "name them: --dataset coco-birds. Its images lie in the data folder or, if there is one, in birds/ inside it."
    ),
    layout="""\
annotations/instances_train.json ...         boxes as COCO has them: a file a part, train, val and test (without
                                             test, val is the last look), or one of all, split 60/20/20
train/*.jpg ... or images/*.jpg ...          the images that they name""",
    required=(),
    reader=partial(_read, "coco"),
)
NAMED = OwnFolders(SPEC, "Your COCO folder", _read)
