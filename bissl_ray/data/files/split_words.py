"""What people call the parts of a data set that they have split themselves."""

import re
import unicodedata
from collections.abc import Collection
from pathlib import Path

from bissl_ray.data.files.class_folders import subfolders
from bissl_ray.errors import BadInputError, nearest

PARTS = ("train", "val", "test", "unlabelled")
_WORDS = {
    "train": ("train", "training", "trn"),
    "val": ("val", "valid", "validation", "validate", "validating", "dev", "development"),
    "test": ("test", "testing", "tst"),
    "unlabelled": ("unlabelled", "unlabeled", "unlabel", "unlab"),
}
_WORDS_ELSEWHERE = {
    "train": (
        "entrainement",
        "entraînement",
        "entrenamiento",
        "treino",
        "treinamento",
        "addestramento",
        "訓練",
        "学習",
        "训练",
    ),
    "val": ("validierung", "validación", "validacion", "validação", "validazione", "検証", "验证"),
    "test": ("testdaten", "prueba", "pruebas", "teste", "testes", "テスト", "测试", "測試"),
}
_PART_OF = {word: part for known in (_WORDS, _WORDS_ELSEWHERE) for part, words in known.items() for word in words}
_BETWEEN = re.compile(r"[\s._-]+")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[^\W\d_A-Za-z]+")
_AFTER = re.compile(r"(?:sets?|data|dataset|images?|imgs?|split|folder|\d{4}|集|データ)$")
_CLASS_AS_WELL = frozenset(("train", "training", "valid", "dev"))
"""Words that are believable names of a class: a train among vehicles, valid beside invalid."""


def part_called(name: str) -> str | None:
    """The part that a folder's name says, one of `PARTS`, in whatever case: "Training_Set" is "train"; else None."""
    word = _BETWEEN.sub("", unicodedata.normalize("NFC", name)).casefold()
    return _PART_OF.get(word) or _PART_OF.get(_AFTER.sub("", word))


def part_hinted(name: str) -> str | None:
    """The part that one of a name's words says: "seg_train" is "train"."""
    words = [*_BETWEEN.split(name), *_WORD.findall(name)]
    return next((part for word in words if (part := part_called(word)) is not None), None)


def parts_in(folder: Path, found: Collection[str]) -> dict[str, str]:
    """Tell parts from classes: a part holds folders of classes, a class holds images.

    Args:
        folder: the data folder.
        found: the folders in it.

    Returns:
        The folder of each of the `PARTS` that is there. Without "train" among them, the others, but that of unlabelled
        images, are the classes.

    Raises:
        BadInputError: it can be read in two ways, or a part is missing or there twice.
    """
    called = {name: part for name in sorted(found) if (part := part_called(name)) is not None}
    # Of these alone: there may be thousands of classes, each with thousands of images.
    holding = {name for name in called if subfolders(folder / name)}
    if not any(name in holding for name, part in called.items() if part != "unlabelled"):
        hinted = {name: part for name in sorted(found) if (part := part_hinted(name)) is not None}
        if "train" in hinted.values():
            holding |= {name for name in hinted if subfolders(folder / name)}
            called |= {name: part for name, part in hinted.items() if name in holding}
    unlabelled = [name for name, part in called.items() if part == "unlabelled"]
    named = [name for name in called if name not in unlabelled]
    others = [name for name in sorted(found) if name not in called]
    hold_classes = [name for name in named if name in holding]
    if not hold_classes:
        _refuse_flat_parts(folder, named, others)
        return _once(folder, dict.fromkeys(unlabelled, "unlabelled"))
    parts = _once(folder, {name: called[name] for name in [*hold_classes, *unlabelled]})
    if "train" not in parts:
        raise BadInputError(
            f"{folder}: found {hold_classes[0]}/ without train/; expected train/ and test/, or classes alone"
        )
    flat = [name for name in named if name not in hold_classes]
    if flat:
        part = called[flat[0]]
        without = "; images without labels go into unlabelled/" if part == "test" else ""
        train = parts["train"]
        raise BadInputError(
            f"{folder / flat[0]}: the {part} part holds no folder of a class; sort its images into folders as those of "
            f"{train}/{without}; or give --data-dir {folder / train} to have these alone split 60/20/20"
        )
    for name in others:
        raise BadInputError(
            f"{folder / name}: found beside {parts['train']}/, where {', '.join(PARTS)} are expected: rename it, or "
            f"move it away{nearest(name, set(PARTS) - set(parts))}"
        )
    return parts


def _refuse_flat_parts(folder: Path, named: Collection[str], others: Collection[str]) -> None:
    """Folders that are called as parts and hold no folders: are they classes?"""
    unlikely = [name for name in named if others and name.casefold() not in _CLASS_AS_WELL]
    if others and not unlikely:
        return
    if named:
        first = next(iter(unlikely or named))
        raise BadInputError(
            f"{folder / first}: found images and no class folders in it; as the {part_called(first)} part of a data "
            f"set that is split by hand it should hold a folder per class, beside train/; if it is a class by itself, "
            f"give it another name, such as {first}-class"
        )


def _once(folder: Path, called: dict[str, str]) -> dict[str, str]:
    """The folder of each part (raises BadInputError: two folders are called as one)."""
    parts: dict[str, str] = {}
    for name, part in called.items():
        if part in parts:
            raise BadInputError(
                f"{folder}: {parts[part]}/ and {name}/ both say that they are the {part} part; expected one of them: "
                "move the other away, or put its images into the one"
            )
        parts[part] = name
    return parts
