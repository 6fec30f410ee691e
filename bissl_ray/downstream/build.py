"""The downstream tasks that a dataset can name. A new one is a file and a line below, or an entry of a plugin's."""

from pkgutil import resolve_name
from typing import Final

from bissl_ray.downstream.base import DownstreamTask
from bissl_ray.errors import BadInputError, nearest
from bissl_ray.plugins import load_plugins

TASKS: Final = {
    "classification": "bissl_ray.downstream.classification:ClassificationTask",
    "detection": "bissl_ray.downstream.detection.task:DetectionTask",
    "multi_label": "bissl_ray.downstream.multi_label:MultiLabelTask",
}
"""Where the class of each task is, as "module:Class": it is imported when a trial first needs it."""


def downstream_names() -> list[str]:
    """Every task that `downstream_task` knows."""
    load_plugins()
    return list(TASKS)


def downstream_task(name: str) -> type[DownstreamTask]:
    """Look up a task's class.

    Args:
        name: one of `downstream_names`, as a dataset's facts have it.

    Raises:
        BadInputError: no task has that name.
    """
    if name not in TASKS:
        known = downstream_names()
        if name not in TASKS:
            raise BadInputError(
                f"unknown downstream task {name!r}; expected one of {', '.join(known)}{nearest(name, known)}"
            )
    task: type[DownstreamTask] = resolve_name(TASKS[name])
    return task
