"""The two layouts of a person's own folder, read and checked."""

from collections.abc import Sequence
from pathlib import Path

from bissl_ray.data.files.class_folders import files_by_class, images_in, names_content, sizes_content, subfolders
from bissl_ray.data.files.published import Published
from bissl_ray.data.files.sources import ImageFiles
from bissl_ray.data.spec import Images, Labelled
from bissl_ray.data.splits import stratified_split
from bissl_ray.errors import BadInputError, nearest

_PARTS = ("train", "val", "test", "unlabelled")
_TEST_SEED = 0


def split_by_hand(folder: Path, found: Sequence[str]) -> Published:
    """Read train/, test/ and, where there are, val/ and unlabelled/.

    Args:
        folder: the data folder.
        found: the folders in it.

    Raises:
        BadInputError: another folder, no test/, classes that differ between the parts, or a class without images.
    """
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
    unlabelled = _unlabelled(folder, found)
    return Published(
        train=parts["train"],
        validation=parts.get("val"),
        test=parts["test"],
        classes=len(classes),
        class_names=classes,
        contents=[content for part in parts.values() for content in _contents(part.images)],
        unlabelled=unlabelled,
        unlabelled_contents=() if unlabelled is None else _contents(unlabelled),
        validation_from=f"from {folder / 'val'}",
    )


def drawn(folder: Path, found: Sequence[str], test_share: float) -> Published:
    """Read class folders and draw the test images, the same ones whatever the split seed.

    Args:
        folder: the data folder.
        found: the folders in it: the classes, and perhaps unlabelled/.
        test_share: of the images.

    Raises:
        BadInputError: fewer than two classes, parts without train/, or a class without images.
    """
    for part in ("test", "val"):
        if part in found:
            raise BadInputError(f"{folder}: found {part}/ without train/; expected train/ and test/, or classes alone")
    classes = [name for name in found if name != "unlabelled"]
    _check_classes(folder, classes)
    images = _labelled(folder, classes)
    rest, test = stratified_split(list(images.targets), round(len(images) * test_share), _TEST_SEED, "folder test")
    unlabelled = _unlabelled(folder, found)
    return Published(
        train=images.select(rest.tolist()),
        test=images.select(test.tolist()),
        classes=len(classes),
        class_names=classes,
        contents=_contents(images.images),
        unlabelled=unlabelled,
        unlabelled_contents=() if unlabelled is None else _contents(unlabelled),
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


def _labelled(folder: Path, classes: Sequence[str]) -> Labelled:
    names, labels = files_by_class(folder, classes)
    return Labelled(ImageFiles(folder, names), labels)


def _contents(images: Images) -> list[bytes]:
    """What tells images of a person's own from others: nobody published them, so that a name says little."""
    assert isinstance(images, ImageFiles)
    return [names_content(images.names), sizes_content(images.folder, images.names)]


def _unlabelled(folder: Path, found: Sequence[str]) -> ImageFiles | None:
    if "unlabelled" not in found:
        return None
    return ImageFiles(folder / "unlabelled", images_in(folder / "unlabelled"))
