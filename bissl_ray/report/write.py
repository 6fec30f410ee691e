"""Writes a report: the one HTML file, and PNGs of its main figures where they are asked for."""

from pathlib import Path
from typing import Final

from bissl_ray.errors import BadInputError, RunFailedError
from bissl_ray.report.page import GENERATOR, Report
from bissl_ray.store import atomic_write, open_storage, reason

_HEAD: Final = 400  # bytes in which a report of ours says so


def check_report(out: Path, force: bool) -> None:
    """Make sure, before anything is read, that a report can be written; one of ours is replaced unasked.

    Raises:
        BadInputError: the folder is missing, or something else is there already.
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise BadInputError(f"--out {out}: expected a name that ends in .html")
    if not out.parent.is_dir():
        raise BadInputError(f"--out {out}: there is no folder {out.parent}; make it, or give another path")
    if out.exists() and not out.is_file():
        raise BadInputError(f"--out {out} is no file that can be replaced; give another path")
    if out.is_file() and not force and not _is_ours(out):
        raise BadInputError(f"{out} is there already, and no report of bissl-ray; give another --out, or --force")


def write_report(report: Report, out: Path) -> None:
    """Write the page, whole or not at all.

    Raises:
        RunFailedError: it can't be written, for a full disk or the like.
    """
    filesystem, place = open_storage(out)
    try:
        atomic_write(filesystem, place, report.html.encode())
    except OSError as error:
        raise RunFailedError(
            f"{out} can't be written ({reason(error)}), and nothing of it was: make room, or give another --out"
        ) from error


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return GENERATOR.encode() in file.read(_HEAD)
