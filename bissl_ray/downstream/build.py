"""The downstream tasks that a dataset can name. A new one is a file and a line below, or an entry of a plugin's."""

from pkgutil import resolve_name
from typing import Final

from bissl_ray.config.settings import Settings
from bissl_ray.data.spec import DatasetSpec
from bissl_ray.downstream.base import DownstreamTask
from bissl_ray.downstream.linear import LinearTask
from bissl_ray.errors import BadInputError, nearest
from bissl_ray.metrics import METRICS, Metric
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


def judged_by(spec: DatasetSpec, objective: str | None) -> Metric:
    """The figure that models are compared by: one that was asked for, or the dataset's own.

    Args:
        spec: the dataset's facts.
        objective: as the setting of that name.

    Raises:
        BadInputError: the dataset's task has no such figure, or the table of metrics lacks it.
    """
    figures = downstream_task(spec.task).metrics
    name = objective or spec.metric
    if name not in figures or name not in METRICS:
        known = [figure for figure in figures if figure in METRICS]
        judged = f"objective is {name!r}" if objective else f"{spec.title} ('{spec.name}') is judged by {name!r}"
        raise BadInputError(f"{judged}, expected one of its task {spec.task}: {', '.join(known)}{nearest(name, known)}")
    return METRICS[name]


def check_frozen(spec: DatasetSpec) -> None:
    """Refuse to judge a frozen backbone by neighbours or a linear probe where the task isn't one of classes.

    Raises:
        BadInputError: the task has no linear head on features.
    """
    if not issubclass(downstream_task(spec.task), LinearTask):
        raise BadInputError(
            f"{spec.title} has the task {spec.task}, and neighbours and linear probes judge only by classes of images: "
            "leave out --knn and --linear-probe"
        )


def check_task(spec: DatasetSpec, settings: Settings) -> None:
    """Refuse settings that a dataset's task can't be built or judged with (raises BadInputError)."""
    judged_by(spec, settings.objective)
    task = downstream_task(spec.task)
    for name, unasked in (("alignment_every", 0), ("explore_by", "upper")):
        if getattr(settings, name) != unasked and not issubclass(task, LinearTask):
            raise BadInputError(
                f"{name} is {getattr(settings, name)}, and {spec.title} has the task {spec.task}: neighbours and "
                f"linear probes judge only by classes of images; set it to {unasked}"
            )
    task.check(spec, settings)
