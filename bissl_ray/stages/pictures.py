"""Pictures that an evaluation drew: whether it can, and from the storage to a folder of a person's own."""

import os
from pathlib import Path

from pyarrow.fs import LocalFileSystem, copy_files

from bissl_ray.config.requests import StageRequest
from bissl_ray.data import get_dataset
from bissl_ray.downstream import DownstreamTask, downstream_task
from bissl_ray.errors import BadInputError
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
    return f"{folder}: {len(files)} pictures, predictions beside the truth"
