"""From a dataset's parts as they are published to the splits that training and selection use."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bissl_ray.data.files.image_lists import ImageList, check_every_class, open_lists
from bissl_ray.data.files.packed import selected
from bissl_ray.data.files.sources import JoinedImages, joined
from bissl_ray.data.files.split_files import read_split, split_paths
from bissl_ray.data.objects import ObjectsOfImages
from bissl_ray.data.spec import DatasetSplits, Images, Labelled, SplitChoice, Target
from bissl_ray.data.splits import Indices, fingerprint, stratified_split
from bissl_ray.data.strata import iterative_split, shown_classes


@dataclass(frozen=True)
class Published:
    """The parts of a dataset as its authors publish it.

    Attributes:
        train: labelled training images, in the order of the torchvision reader: index files count by it.
        test: labelled test images.
        classes: how many classes the targets tell apart, from 0; None where the task has none.
        contents: bytes that change when files or targets do, such as annotation files; not every image.
        validation: labelled images that the authors set apart for choosing; None where they didn't.
        unlabelled: further images for the pretext alone.
        unlabelled_contents: as `contents`, of these.
        validation_from: where `validation` came from, in words.
        class_names: of each class, by its label; None where the files have none.
    """

    train: Labelled
    test: Labelled
    classes: int | None
    contents: Sequence[bytes]
    validation: Labelled | None = None
    unlabelled: Images | None = None
    unlabelled_contents: Sequence[bytes] = ()
    validation_from: str = "as published"
    class_names: Sequence[str] | None = None


def from_lists(
    folder: Path, lists: Sequence[ImageList], classes: Sequence[str], source: str, files: Iterable[Path]
) -> Published:
    """The parts of a dataset whose annotation files list its images.

    Args:
        folder: what the images' names are relative to.
        lists: of training and test images; where validation is published, it stands between them.
        classes: name of each class, by its label.
        source: what says which classes there are, for messages: `classes.txt`.
        files: the annotation files, which tell one release from another.

    Raises:
        BadInputError: as `open_lists`.
    """
    train, *validation, test = open_lists(folder, lists, classes, source)
    return Published(
        train=train,
        validation=validation[0] if validation else None,
        test=test,
        classes=len(classes),
        class_names=classes,
        contents=[file.read_bytes() for file in files],
    )


def split(published: Published, name: str, validation_share: float | None, choice: SplitChoice) -> DatasetSplits:
    """Set validation apart: by index files, else as published, else drawn, stratified by the classes that images show.

    Index files count the training images and, where validation images are published, these after them. The pretext
    pool is all that is trained on, and what was published without labels.

    Args:
        published: the parts.
        name: of the dataset.
        validation_share: of the training images to draw, as in PAPER's table; None where validation is published.
        choice: seed of the draw, and where index files may lie.

    Raises:
        BadInputError: damaged index files, or such as leave a class without a training image.
    """
    known, before = published.train, len(published.train)
    if published.validation is not None:
        known = joined([published.train, published.validation])
    from_files = None if choice.folder is None else read_split(choice.folder, name, len(known))
    validation_from = published.validation_from
    train: Indices
    validation: Indices
    if from_files is not None and choice.folder is not None:
        train, validation = from_files
        train_file, validation_file = split_paths(choice.folder, name)
        validation_from = f"from {validation_file}"
        # Scenes of rare classes needn't be in every copy of a dataset.
        if published.classes is not None and not isinstance(known.targets, ObjectsOfImages):
            check_every_class(selected(known.targets, train.tolist()), published.classes, train_file)
    elif published.validation is not None:
        train, validation = np.arange(before), np.arange(before, len(known))
    else:
        assert validation_share is not None, f"{name} has no validation images, and no share to draw"
        held_out = round(before * validation_share)
        targets = None if published.classes is None else known.targets
        train, validation = _drawn(targets, before, held_out, choice.seed, f"{name} validation")
        validation_from = f"drawn, seed {choice.seed}"
    labelled = known.select(train.tolist())
    # Not copied: CIFAR's are 120 MB.
    pool = labelled.images
    parts = {"train": train, "validation": validation, "test": np.arange(len(published.test))}
    whole = labelled_fingerprint = fingerprint(name, published.contents, parts)
    if published.unlabelled is not None:
        pool = JoinedImages([published.unlabelled, pool])
        contents = [*published.contents, *published.unlabelled_contents]
        whole = fingerprint(name, contents, parts | {"pretext": np.arange(len(pool))})
    return DatasetSplits(
        pretext=pool,
        train=labelled,
        validation=known.select(validation.tolist()),
        test=published.test,
        classes=published.classes,
        fingerprint=whole,
        labelled_fingerprint=labelled_fingerprint,
        validation_from=validation_from,
        class_names=None if published.class_names is None else tuple(map(str, published.class_names)),
    )


def _drawn(
    targets: Sequence[Target] | None, images: int, held_out: int, seed: int, purpose: str
) -> tuple[Indices, Indices]:
    """Draw what is held out of so many images, stratified where targets name classes; None: they name none."""
    if isinstance(targets, ObjectsOfImages):
        return iterative_split([shown_classes(objects) for objects in targets], held_out, seed, purpose)
    alike = [0] * images if targets is None else [target if isinstance(target, int) else 0 for target in targets]
    return stratified_split(alike, held_out, seed, purpose)
