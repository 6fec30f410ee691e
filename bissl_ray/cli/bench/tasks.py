"""`bissl-ray bench tasks`."""

from dataclasses import dataclass, fields
from typing import Literal

from bissl_ray.cli.bench.app import MOST_STEPS, Figures, bench
from bissl_ray.cli.flags import takes
from bissl_ray.config.flags import flag


@dataclass(frozen=True, kw_only=True)
class _TasksOptions(Figures):
    """What is run: see `benchmarks.alternations.Question`."""

    backbone: str = flag("Architecture, as the setting of that name.", default="resnet18")
    detector: Literal["c4", "fpn"] = flag("As the setting of that name.", default="c4")
    size: int = flag("Side of all images, pixels.", default=96, least=32)
    lower_batch: int = flag("Images per lower step.", default=16, least=2)
    upper_batch: int = flag("Images per upper step.", default=4, least=2)
    lower_steps: int = flag("Lower steps of an alternation.", default=4, least=1, most=MOST_STEPS)
    upper_steps: int = flag("Upper steps of an alternation.", default=4, least=1, most=MOST_STEPS)
    rounds: int = flag("Alternations of each task; figures are medians.", default=3, least=1)


@bench.command("tasks")
@takes(_TasksOptions)
def tasks(asked: _TasksOptions) -> None:
    """An alternation with a detector above beside one with a classifier: images per second and peak memory."""
    from bissl_ray.benchmarks.alternations import Question, measure_tasks
    from bissl_ray.benchmarks.tables import tasks_table

    asked.check()
    measured = measure_tasks(Question(**{each.name: getattr(asked, each.name) for each in fields(Question)}))
    asked.write(measured, tasks_table(measured))
