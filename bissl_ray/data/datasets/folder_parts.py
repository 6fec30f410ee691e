"""The two layouts of a person's own folder, read and checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bissl_ray.data.files.class_folders import (
    ClassFolders,
    class_folders,
    files_by_class,
    images_in,
    names_content,
    sizes_of,
    subfolders,
    unlisted,
)
from bissl_ray.data.files.formats import SMALL, Unread, is_usual, look_at_small
from bissl_ray.data.files.left_out import refuse_unread
from bissl_ray.data.files.published import Published
from bissl_ray.data.files.sources import ImageFiles
from bissl_ray.data.files.split_words import part_called
from bissl_ray.data.spec import Images, Labelled
from bissl_ray.data.splits import stratified_split
from bissl_ray.errors import BadInputError, nearest

_TEST_SEED = 0
_DEEPEST = 5
_LOOKED_INTO = 20
_BESIDE_IMAGES = ("labels", "annotations", "masks", "annots", "bboxes", "segmentation", "groundtruth")


def split_by_hand(folder: Path, names: Mapping[str, str]) -> Published:
    """Read the folders of training and test images and, where there are, of validation and unlabelled ones.

    Args:
        folder: the data folder.
        names: the folder of each part, "train" among them.

    Raises:
        BadInputError: no test images, classes that differ between the parts, or a class without images.
        LeftOutError: images that can't be read.
    """
    train = names["train"]
    if "test" not in names:
        also = f"rename {names['val']}/ to test/, or give" if "val" in names else "give"
        raise BadInputError(
            f"{folder}: found {train}/ without test/; give it test images, that are looked at once and last: {also} "
            f"--data-dir {folder / train} to have its images split 60/20/20"
        )
    classes = class_folders(folder / train)
    _check_classes(folder / train, classes, a_part=True)
    files = _Files()
    parts = {}
    for part in ("train", "val", "test"):
        if part in names:
            inside = class_folders(folder / names[part])
            _check_same(folder, (train, classes), (names[part], inside))
            parts[part] = files.labelled(folder / names[part], {name: inside[name] for name in classes})
    unlabelled = files.unlabelled(folder, names)
    files.check()
    return Published(
        train=parts["train"],
        validation=parts.get("val"),
        test=parts["test"],
        classes=len(classes),
        class_names=list(classes),
        contents=[content for part in parts.values() for content in files.contents(part.images)],
        unlabelled=unlabelled,
        unlabelled_contents=() if unlabelled is None else files.contents(unlabelled),
        validation_from=f"from {folder / names.get('val', '')}",
    )


def drawn(folder: Path, names: Mapping[str, str], test_share: float) -> Published:
    """Read class folders and draw the test images, the same ones whatever the split seed.

    Args:
        folder: the data folder.
        names: "unlabelled" to its folder, if there is one; the others are the classes.
        test_share: of the images.

    Raises:
        BadInputError: fewer than two classes, or a class without images.
        LeftOutError: images that can't be read.
    """
    unlabelled_folder = names.get("unlabelled")
    classes = {name: inside for name, inside in class_folders(folder).items() if inside != [unlabelled_folder]}
    _check_classes(folder, classes, a_part=False)
    files = _Files()
    images = files.labelled(folder, classes)
    unlabelled = files.unlabelled(folder, names)
    files.check()
    rest, test = stratified_split(list(images.targets), round(len(images) * test_share), _TEST_SEED, "folder test")
    return Published(
        train=images.select(rest.tolist()),
        test=images.select(test.tolist()),
        classes=len(classes),
        class_names=list(classes),
        contents=files.contents(images.images),
        unlabelled=unlabelled,
        unlabelled_contents=() if unlabelled is None else files.contents(unlabelled),
    )


def _check_classes(folder: Path, classes: ClassFolders, a_part: bool) -> None:
    """Make sure that there are several, and that they are classes."""
    inner = [name for inside in classes.values() for name in inside]
    if len(classes) >= 2:
        holding = [name for name in inner[:_LOOKED_INTO] if _holds_parts(folder / name)]
        pictured = [name for name in holding if name.casefold() not in _BESIDE_IMAGES] or holding
        parts = subfolders(folder / pictured[0]) if holding else []
        if len(pictured) == 1:
            raise BadInputError(
                f"{folder / pictured[0]}: found {_listed(parts)} in it, and not in {_listed(inner, but=pictured)}; if "
                f"it is the data set, give --data-dir {folder / pictured[0]}; boxes and masks are no labels of classes"
            )
        if holding:
            train = next(part for part in parts if part_called(part) == "train")
            raise BadInputError(
                f"{folder / pictured[0]}: found {_listed(parts)} inside a class; expected the "
                f"classes inside the parts: {train}/{pictured[0]}/ and so on"
            )
        return
    further = ""
    deep = _end_of_chain(folder)
    if deep != folder:
        further = f"; they seem to be further in: give --data-dir {deep}"
        if a_part:
            further = f"; they seem to be further in: move what is in {deep} up into {folder}"
    loose = sum(is_usual(path.name) for path in folder.iterdir()) if not inner else 0
    if loose:
        further = f"; {loose} images lie there without a folder of their class"
    raise BadInputError(
        f"{folder}: found {f'the one class folder {inner[0]}/' if inner else 'no class folder'}, expected two or "
        f"more, named as the classes, with images in each{further}"
    )


def _holds_parts(folder: Path) -> bool:
    """Whether a folder is split: a class that holds others, a train among cars, is not."""
    called = set(map(part_called, subfolders(folder)))
    return "train" in called and bool(called & {"val", "test"})


def _listed(names: Sequence[str], but: Sequence[str] = ()) -> str:
    return ", ".join(f"{name}/" for name in names if name not in but)


def _end_of_chain(folder: Path) -> Path:
    """Where several folders are, from a folder on whose only folder holds one folder, and so on; else the folder."""
    deep = folder
    for _ in range(_DEEPEST):
        inside = subfolders(deep)
        if len(inside) != 1:
            return deep if len(inside) > 1 else folder
        deep = deep / inside[0]
    return folder


def _check_same(folder: Path, first: tuple[str, ClassFolders], second: tuple[str, ClassFolders]) -> None:
    """Make sure that two parts have the same classes."""
    (train, classes), (part, inside) = first, second
    unlike = sorted(set(classes) ^ set(inside))
    if unlike:
        where, other, known = (part, train, classes) if unlike[0] not in classes else (train, part, inside)
        meant = nearest(unlike[0], set(known) & set(unlike))
        raise BadInputError(
            f"{folder / where / unlike[0]}: a class that {other}/ lacks; expected the same class folders in "
            f"{train}/ and {part}/ ({len(unlike)} are in one of them alone){meant}"
        )


@dataclass
class _Files:
    """Image files as they are listed, with what is wrong with any.

    Attributes:
        unread: paths of images that can't be read, and why.
        sizes: of those that can, in bytes, by the images that hold them.
    """

    unread: list[tuple[Path, Unread]] = field(default_factory=list)
    sizes: list[tuple[ImageFiles, list[int]]] = field(default_factory=list)

    def labelled(self, folder: Path, classes: ClassFolders) -> Labelled:
        """The images of some classes."""
        listed = files_by_class(folder, classes)
        self.unread += listed.unread
        return Labelled(self._measured(ImageFiles(folder, listed.names)), listed.labels)

    def unlabelled(self, folder: Path, names: Mapping[str, str]) -> ImageFiles | None:
        """The unlabelled images, if there is a folder of such."""
        if "unlabelled" not in names:
            return None
        inner = folder / names["unlabelled"]
        listed, unread = images_in(inner)
        self.unread += unread
        return self._measured(ImageFiles(inner, listed))

    def check(self) -> None:
        """Refuse what can't be read, all of it at once (raises LeftOutError)."""
        try:
            small = [
                (Path(images.name(index)), why)
                for images, sizes in self.sizes
                for index, size in enumerate(sizes)
                if size <= SMALL and (why := look_at_small(images.name(index), size)) is not None
            ]
        except OSError as error:
            raise unlisted(error) from error
        wrong = {path for path, _ in small}
        # Only gone through where there is something to refuse: there may be millions.
        there = (Path(images.name(index)) for images, _ in self.sizes for index in range(len(images)))
        refuse_unread([*self.unread, *small], (path for path in there if path not in wrong))

    def contents(self, images: Images) -> list[bytes]:
        """What tells images of a person's own from others: nobody published them, so that a name says little."""
        (sizes,) = (sizes for known, sizes in self.sizes if known is images)
        assert isinstance(images, ImageFiles)
        return [names_content(images.names), " ".join(map(str, sizes)).encode()]

    def _measured(self, images: ImageFiles) -> ImageFiles:
        self.sizes.append((images, sizes_of(images.folder, images.names)))
        return images
