"""The downstream tasks that a dataset can name, and how one is built."""

from collections.abc import Callable

from bissl_ray.downstream.base import DownstreamTask
from bissl_ray.downstream.classification import ClassificationTask
from bissl_ray.downstream.multi_label import MultiLabelTask
from bissl_ray.errors import BadInputError, nearest

_BUILDERS: dict[str, Callable[[int, int], DownstreamTask]] = {
    "classification": ClassificationTask,
    "multi_label": MultiLabelTask,
}


def downstream_names() -> list[str]:
    """Every downstream task that `build_downstream` knows."""
    return list(_BUILDERS)


def build_downstream(task: str, feature_dim: int, classes: int) -> DownstreamTask:
    """Build a downstream task with a fresh head, drawn from torch's global generator.

    Args:
        task: one of `downstream_names()`.
        feature_dim: width of the backbone's features.
        classes: how many classes the dataset has.

    Raises:
        BadInputError: no task has that name, or there are fewer than two classes.
    """
    if task not in _BUILDERS:
        raise BadInputError(
            f"unknown downstream task {task!r}; expected one of {', '.join(_BUILDERS)}{nearest(task, _BUILDERS)}"
        )
    if classes < 2:
        raise BadInputError(f"{classes} classes cannot be told apart; expected at least 2: check the dataset's labels")
    return _BUILDERS[task](feature_dim, classes)
