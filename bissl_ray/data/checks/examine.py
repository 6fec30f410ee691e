"""Every image of a dataset opened once, by as many processes as there are cores."""

import hashlib
import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, NamedTuple

from bissl_ray.data.machine import processors
from bissl_ray.data.spec import ImageSource
from bissl_ray.errors import BadInputError

_CHUNK = 16
_ORIENTATION = 0x0112  # EXIF's tag; 1 is upright


class Examined(NamedTuple):
    """What was found of one image."""

    name: str
    digest: bytes
    """Of the file, or of the pixels where many images share a file: equal for equal images."""
    problem: str | None = None
    """Why it can't be used."""
    rotated: bool = False
    """Whether its file asks viewers to turn it."""


def examine_images(images: Sequence[tuple[ImageSource, int]], progress: Callable[[int], None]) -> list[Examined]:
    """Open images.

    Args:
        images: each as a source and its index there.
        progress: told how many have been opened since it was last told.
    """
    from bissl_ray.data.files.sources import ImageFiles

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

    from bissl_ray.data.files.decoding import opened, to_rgb

    try:
        with opened(path) as image:
            to_rgb(image)
            rotated = image.getexif().get(_ORIENTATION, 1) != 1
    except BadInputError as error:
        return Examined(path, b"", str(error))
    return Examined(path, hashlib.blake2b(Path(path).read_bytes(), digest_size=16).digest(), None, rotated)


def _examine_pixels(source: ImageSource, index: int) -> Examined:
    image: Any
    image, _ = source[index]
    return Examined(source.name(index), hashlib.blake2b(image.numpy().tobytes(), digest_size=16).digest())
