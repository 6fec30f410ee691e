"""ImageNet: 1,281,167 training images of 1,000 classes, and 50,000 more (ILSVRC 2012, Russakovsky et al. 2015).

The labels of its test images were never published, so the 50,000 of `val` are the test split, and as many of the
training images validate.
"""

from pathlib import Path

from bissl_ray.data.spec import DatasetSpec, DatasetSplits, Labelled, SplitChoice
from bissl_ray.errors import BadInputError

_VALIDATION_SHARE = 50_000 / 1_281_167


def _read(folder: Path, choice: SplitChoice) -> DatasetSplits:
    from bissl_ray.data.files.class_folders import files_by_class, names_content, subfolders
    from bissl_ray.data.files.left_out import refuse_unread
    from bissl_ray.data.files.published import Published, split
    from bissl_ray.data.files.sources import ImageFiles

    train, val = folder / "imagenet" / "train", folder / "imagenet" / "val"
    classes, test_classes = subfolders(train), subfolders(val)
    if not classes:
        raise BadInputError(
            f"{train}: found no folder per class (n01440764, ...); unpack the archive of each class into a folder of "
            "its name"
        )
    if not test_classes:
        raise BadInputError(
            f"{val}: found no folder per class (n01440764, ...); its images must be sorted into folders as those of "
            "train/ are; valprep.sh of soumith/imagenetloader.torch does it"
        )
    if classes != test_classes:
        unlike = sorted(set(classes) ^ set(test_classes))
        where, other = (train, val) if unlike[0] in classes else (val, train)
        raise BadInputError(
            f"{where / unlike[0]}: a class that {other} lacks ({len(unlike)} classes are in one of them alone); "
            "expected the same in both"
        )
    listed, listed_test = (files_by_class(part, {name: [name] for name in classes}) for part in (train, val))
    there = (part / name for part, each in ((train, listed), (val, listed_test)) for name in each.names)
    refuse_unread([*listed.unread, *listed_test.unread], there)
    published = Published(
        train=Labelled(ImageFiles(train, listed.names), listed.labels),
        test=Labelled(ImageFiles(val, listed_test.names), listed_test.labels),
        classes=len(classes),
        class_names=classes,
        contents=[names_content(listed.names), names_content(listed_test.names)],
    )
    return split(published, "imagenet", _VALIDATION_SHARE, choice)


SPEC = DatasetSpec(
    name="imagenet",
    title="ImageNet",
    classes=1000,
    sizes=(1_231_167, 50_000, 50_000),
    metric="top1",
    home=(
        "https://image-net.org/challenges/LSVRC/2012/ after signing in (ILSVRC2012_img_train.tar, "
        "ILSVRC2012_img_val.tar), or on Kaggle: imagenet-object-localization-challenge. Its terms forbid passing it "
        "on, so that nothing can fetch it for you."
    ),
    layout="""\
imagenet/train/n01440764/*.JPEG ...          1,281,167 images in 1,000 folders
imagenet/val/n01440764/*.JPEG ...            50,000 images in folders of the same names""",
    required=("imagenet/train/", "imagenet/val/"),
    reader=_read,
)
