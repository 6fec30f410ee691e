"""Whether a dataset on disk is what it should be: everything that is wrong with it, not only the first thing."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from bissl_ray.data.data_choice import DataChoice
from bissl_ray.data.examine import Examined, examine_images
from bissl_ray.data.sources import ImageFiles, JoinedImages
from bissl_ray.data.spec import DatasetSpec, DatasetSplits, ImageSource

SPLITS = ("pretext", "train", "validation", "test")


class Finding(NamedTuple):
    """Something that a person should know about their data."""

    text: str
    """What, in a sentence without its full stop."""
    examples: Sequence[str] = ()
    """All that it is true of, a line each."""


@dataclass
class Findings:
    """What a check came to."""

    splits: DatasetSplits
    notes: list[Finding] = field(default_factory=list)
    """Worth knowing; nothing is wrong with the data."""
    problems: list[Finding] = field(default_factory=list)
    """Wrong with the data."""
    images: int = 0
    """How many different ones there are."""
    opened: int | None = None
    """How many of them open; None: none was tried."""


def check_dataset(choice: DataChoice, quick: bool, progress: Callable[[int, int], None]) -> Findings:
    """Open a dataset, count it against what is published, and open each of its images.

    Args:
        choice: the data.
        quick: only look at the layout, the labels and the counts.
        progress: told after every few images how many have been opened, and of how many.

    Raises:
        BadInputError: the dataset can't be opened: something is missing, or a file of labels is damaged.
    """
    splits = choice.open()
    findings = Findings(splits)
    findings.notes += _compare(choice.spec, splits)
    _check_classes(splits, findings)
    places = _places(splits)
    findings.images = len(places)
    findings.notes += _unused({name for name, (source, _) in places.items() if isinstance(source, ImageFiles)})
    if not quick:
        done = 0
        progress(done, len(places))

        def opened(more: int) -> None:
            nonlocal done
            done += more
            progress(done, len(places))

        examined = examine_images(list(places.values()), opened)
        _check_images(choice.spec, splits, examined, findings)
        findings.problems += _unlike_published(choice, splits)
        findings.opened = sum(image.problem is None for image in examined)
    return findings


def _compare(spec: DatasetSpec, splits: DatasetSplits) -> Iterator[Finding]:
    """Compare with the published counts."""
    if spec.classes is not None and splits.classes != spec.classes:
        yield Finding(f"It has {splits.classes:,} classes, and the published one {spec.classes:,}")
    if spec.sizes is None:
        return
    train, validation, test = spec.sizes
    known = len(splits.train) + len(splits.validation)
    for what, found, published in (
        ("training and validation images", known, train + validation),
        ("test images", len(splits.test), test),
    ):
        if found < published:
            yield Finding(f"It is smaller than the published one: {found:,} of {published:,} {what}")
        elif found > published:
            yield Finding(f"It is larger than the published one: {found:,} {what} instead of {published:,}")


def _unlike_published(choice: DataChoice, splits: DatasetSplits) -> Iterator[Finding]:
    """Compare the sums of raw files with the published ones; a smaller copy has others and is left alone."""
    sizes = (len(splits.train) + len(splits.validation), len(splits.test))
    published = choice.spec.sizes
    if choice.data_dir is None or published is None or sizes != (published[0] + published[1], published[2]):
        return
    unlike = []
    for path, md5 in choice.spec.checksums:
        with (Path(choice.data_dir) / path).open("rb") as file:
            if hashlib.file_digest(file, "md5").hexdigest() != md5:
                unlike.append(f"{choice.data_dir}/{path}")
    if unlike:
        yield Finding(
            f"{_count(len(unlike), 'file')} with another MD5 than the published; fetch the data again", unlike
        )


def _check_classes(splits: DatasetSplits, findings: Findings) -> None:
    for split in ("train", "validation", "test"):
        shown: set[int] = set()
        for label in getattr(splits, split).labels:
            shown.update([label] if isinstance(label, int) else (c for c, seen in enumerate(label) if seen == 1))
        missing = [f"class {number} (counted from 0)" for number in range(splits.classes) if number not in shown]
        if missing:
            where = findings.problems if split == "train" else findings.notes
            classes = _count(len(missing), "class", "classes")
            where.append(Finding(f"The {split} split shows no image of {classes}", missing))


def _places(splits: DatasetSplits) -> dict[str, tuple[ImageSource, int]]:
    """Where each image is found, by name; those in several splits once."""
    places: dict[str, tuple[ImageSource, int]] = {}
    for split in SPLITS:
        for source in _leaves(getattr(splits, split)):
            places.update({source.name(index): (source, index) for index in range(len(source))})
    return places


def _count(number: int, what: str, several: str | None = None) -> str:
    return f"{number:,} {what if number == 1 else several or what + 's'}"


def _leaves(source: ImageSource) -> Iterator[ImageSource]:
    if isinstance(source, JoinedImages):
        for part in source.sources:
            yield from _leaves(part)
    else:
        yield source


def _unused(used: set[str]) -> Iterator[Finding]:
    """Files that lie beside images that are used."""
    unused: list[str] = []
    for folder in sorted({name.rpartition("/")[0] for name in used}):
        with os.scandir(folder) as entries:
            others = [entry.path for entry in entries if not entry.name.startswith(".") and entry.path not in used]
        unused.extend(path for path in sorted(others) if not Path(path).is_dir())
    if unused:
        yield Finding(f"Beside the images {_count(len(unused), 'file')} of no split", unused)


def _check_images(spec: DatasetSpec, splits: DatasetSplits, examined: Sequence[Examined], findings: Findings) -> None:
    damaged = [image.problem for image in examined if image.problem is not None]
    if damaged:
        findings.problems.append(Finding(f"{_count(len(damaged), 'image')} can't be opened", damaged))
    rotated = [image.name for image in examined if image.rotated]
    if rotated:
        findings.notes.append(
            Finding(
                f"{_count(len(rotated), 'image')} with an orientation in EXIF, which is ignored here and by "
                "torchvision; turn the files themselves if it matters",
                rotated,
            )
        )
    shared = list(_in_several_splits(splits, examined))
    if shared:
        # Published datasets have such pairs, too, and all published figures with them.
        where = findings.problems if spec.sizes is None else findings.notes
        where.append(
            Finding(f"{_count(len(shared), 'image')} in several of the training, validation and test splits", shared)
        )


def _in_several_splits(splits: DatasetSplits, examined: Sequence[Examined]) -> Iterator[str]:
    """Say of each image that occurs in several splits, be it under several names, where it does."""
    digests = {image.name: image.digest for image in examined if image.problem is None}
    found: defaultdict[bytes, dict[str, str]] = defaultdict(dict)
    for split in SPLITS:
        # What is in the pretext pool is trained on, too.
        role = "train" if split == "pretext" else split
        for source in _leaves(getattr(splits, split)):
            for index in range(len(source)):
                name = source.name(index)
                if name in digests:
                    found[digests[name]].setdefault(role, name)
    for roles in found.values():
        if len(roles) > 1:
            yield "; ".join(f"{role}: {name}" for role, name in roles.items())
