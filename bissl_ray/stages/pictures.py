"""Pictures that an evaluation drew: whether it can, and from the storage to a folder of a person's own."""

import os
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from pyarrow.fs import LocalFileSystem, copy_files

from bissl_ray.config.requests import StageRequest
from bissl_ray.data import get_dataset
from bissl_ray.downstream import DownstreamTask, downstream_task
from bissl_ray.errors import BadInputError
from bissl_ray.stages.figures import heading, rows_by_class, written
from bissl_ray.stages.run import StageOutcome
from bissl_ray.store import open_storage


def check_pictures(folder: Path, request: StageRequest) -> None:
    """Make sure that there is something to draw, and where to.

    Raises:
        BadInputError: the dataset's task draws nothing, the model itself isn't looked at, or the folder can't be one.
    """
    spec = get_dataset(request.dataset)
    if downstream_task(spec.task).picture is DownstreamTask.picture:
        raise BadInputError(
            f"--pictures {folder}: the task {spec.task} of {spec.title} has nothing to draw; leave it out"
        )
    if "score" not in request.ways:
        raise BadInputError(f"--pictures {folder} draws what the model finds: leave out --knn and --linear-probe")
    place = folder.expanduser().absolute()
    if place.exists() and not place.is_dir():
        raise BadInputError(f"--pictures {folder}: found a file there; expected a folder, or nothing yet")
    there = next(parent for parent in (place, *place.parents) if parent.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise BadInputError(f"--pictures {folder}: {there} can't be written into; give another folder")


def fetch_pictures(outcome: StageOutcome, folder: Path) -> str:
    """Copy what an evaluation drew.

    Returns:
        What was written, in a sentence.
    """
    place = folder.expanduser().absolute()
    place.mkdir(parents=True, exist_ok=True)
    filesystem, base = open_storage(outcome.storage)
    files = outcome.result.get("pictures", [])
    for file in files:
        copy_files(f"{base}/{file}", f"{place}/{file.rpartition('/')[2]}", filesystem, LocalFileSystem())
    names = [file.rpartition("/")[2] for file in files]
    (place / "index.html").write_text(_page(outcome, names), "utf-8")
    return f"{folder}: {len(files)} pictures, predictions beside the truth; index.html shows them with the figures"


def _page(outcome: StageOutcome, names: Sequence[str]) -> str:
    """One page with the figures and the pictures, for a browser."""
    request, result = outcome.request, outcome.result
    title = escape(f"{request.name}: {request.dataset}, {request.split} split")
    figures = result["metrics"]["model"]
    lines = [_row("th", map(heading, figures)), _row("td", (written(*each) for each in figures.items()))]
    tables = [lines]
    if result.get("by_class"):
        headings, rows = rows_by_class(result["class_names"], result["by_class"])
        tables.append([_row("th", headings), *(_row("td", row) for row in rows)])
    images = "\n".join(f'<p>{escape(name)}<br><img src="{escape(name)}" alt="{escape(name)}"></p>' for name in names)
    written_out = "\n".join("<table>\n" + "\n".join(each) + "\n</table>" for each in tables)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><meta charset="utf-8"><title>{title}</title>\n'
        "<style>body{font-family:sans-serif}td,th{text-align:right;padding:0 .6em}</style>\n"
        f"<h1>{title}</h1>\n{written_out}\n{images}\n</html>\n"
    )


def _row(tag: str, cells: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"
