"""Every image of a dataset opened once, by as many processes as there are cores, and what they show together."""

import hashlib
import multiprocessing
import signal
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from bissl_ray.data.checks.findings import Finding, Findings, count_of
from bissl_ray.data.checks.targets import LABELLED
from bissl_ray.data.files.sources import ImageFiles, leaves
from bissl_ray.data.machine import processors
from bissl_ray.data.spec import SPLITS, DatasetSpec, DatasetSplits, Images, Labelled
from bissl_ray.errors import BadInputError

_CHUNK = 16


class Examined(NamedTuple):
    """What was found of one image."""

    name: str
    digest: bytes
    """Of the file, or of the pixels where many images share a file: equal for equal images."""
    problem: str | None = None
    """Why it can't be used."""
    rotated: bool = False
    """Whether its file asks viewers to turn it."""
    size: tuple[int, int] | None = None
    """Width and height as decoded, turned as the file asks; None where many images share a file."""


def examine_images(images: Sequence[tuple[Images, int]], progress: Callable[[int], None]) -> list[Examined]:
    """Open images.

    Args:
        images: each as a source and its index there.
        progress: told how many have been opened since it was last told.
    """
    paths = [source.name(index) for source, index in images if isinstance(source, ImageFiles)]
    others = [(source, index) for source, index in images if not isinstance(source, ImageFiles)]
    found: list[Examined] = []
    for start in range(0, len(others), _CHUNK):
        found.extend(_examine_pixels(source, index) for source, index in others[start : start + _CHUNK])
        progress(len(others[start : start + _CHUNK]))
    for examined in _in_processes([paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]):
        found.extend(examined)
        progress(len(examined))
    return found


def _in_processes(chunks: Sequence[list[str]]) -> Iterator[list[Examined]]:
    processes = min(processors(), len(chunks))
    if processes < 2:
        yield from map(_examine_files, chunks)
        return
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _leave_interrupts) as pool:
        try:
            yield from pool.map(_examine_files, chunks)
        finally:
            pool.shutdown(cancel_futures=True)


def _leave_interrupts() -> None:
    """Let Ctrl-C reach the process that waits for this one, alone: it ends this one, too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _examine_files(paths: Iterable[str]) -> list[Examined]:
    return [_examine_file(path) for path in paths]


def _examine_file(path: str) -> Examined:
    from pathlib import Path

    from bissl_ray.data.files.decoding import opened, orientation, to_rgb

    try:
        with opened(path) as image:
            size = to_rgb(image).size
            rotated = orientation(image) != 1
    except BadInputError as error:
        return Examined(path, b"", str(error))
    return Examined(path, hashlib.blake2b(Path(path).read_bytes(), digest_size=16).digest(), None, rotated, size)


def _examine_pixels(source: Images, index: int) -> Examined:
    import numpy as np

    pixels = np.asarray(source[index]).tobytes()
    return Examined(source.name(index), hashlib.blake2b(pixels, digest_size=16).digest())


def images_by_name(splits: DatasetSplits) -> dict[str, tuple[Images, int]]:
    """Where each image is found, by name; those in several splits once."""
    found: dict[str, tuple[Images, int]] = {}
    for split in SPLITS:
        for source in leaves(splits.images(split)):
            found.update({source.name(index): (source, index) for index in range(len(source))})
    return found


def check_images(spec: DatasetSpec, splits: DatasetSplits, examined: Sequence[Examined], findings: Findings) -> None:
    """Add what was found of the images: damage, orientations, and images that are in several splits."""
    check_files(examined, findings)
    twice = list(_of_several_classes(splits, examined))
    if twice:
        where = findings.problems if spec.sizes is None else findings.notes
        where.append(Finding(f"{count_of(len(twice), 'image')} with several classes", twice))
    shared = list(_in_several_splits(splits, examined))
    if shared:
        # Published datasets have such pairs, too, and all published figures with them.
        where = findings.problems if spec.sizes is None else findings.notes
        where.append(
            Finding(f"{count_of(len(shared), 'image')} in several of the training, validation and test splits", shared)
        )


def check_files(examined: Sequence[Examined], findings: Findings) -> None:
    """Add what was found of each image by itself: damage and orientations."""
    damaged = [image.problem for image in examined if image.problem is not None]
    if damaged:
        findings.problems.append(Finding(f"{count_of(len(damaged), 'image')} can't be opened", damaged))
    rotated = [image.name for image in examined if image.rotated]
    if rotated:
        findings.notes.append(
            Finding(
                f"{count_of(len(rotated), 'image')} turned as EXIF says, as viewers do; torchvision's loader doesn't, "
                "and neither does the setting exif_orientation: false",
                rotated,
            )
        )


def _of_several_classes(splits: DatasetSplits, examined: Sequence[Examined]) -> Iterator[str]:
    """Say of each image that is there under several classes where it is."""
    digests = {image.name: image.digest for image in examined if image.problem is None}
    found: defaultdict[bytes, dict[object, str]] = defaultdict(dict)
    for split in LABELLED:
        part: Labelled = getattr(splits, split)
        if splits.classes is None or not all(isinstance(target, int) for target in part.targets):
            continue
        for index, target in enumerate(part.targets):
            name = part.name(index)
            if name in digests:
                found[digests[name]].setdefault(target, name)
    yield from ("; ".join(classes.values()) for classes in found.values() if len(classes) > 1)


def _in_several_splits(splits: DatasetSplits, examined: Sequence[Examined]) -> Iterator[str]:
    """Say of each image that occurs in several splits, be it under several names, where it does."""
    digests = {image.name: image.digest for image in examined if image.problem is None}
    found: defaultdict[bytes, dict[str, str]] = defaultdict(dict)
    for split in SPLITS:
        # What is in the pretext pool is trained on, too.
        role = "train" if split == "pretext" else split
        for source in leaves(splits.images(split)):
            for index in range(len(source)):
                name = source.name(index)
                if name in digests:
                    found[digests[name]].setdefault(role, name)
    for roles in found.values():
        if len(roles) > 1:
            yield "; ".join(f"{role}: {name}" for role, name in roles.items())
