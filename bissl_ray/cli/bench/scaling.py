"""`bissl-ray bench scaling`."""

from dataclasses import dataclass, fields
from typing import Literal

from bissl_ray.cli.bench.app import Figures, bench, counts
from bissl_ray.cli.flags import takes
from bissl_ray.config.flags import flag


@dataclass(frozen=True, kw_only=True)
class _ScalingOptions(Figures):
    """What is done, on how many workers: see `benchmarks.scaling.Question`."""

    workers: str = flag("Numbers of worker processes; the first is compared with.", default="1,2,4", metavar="N,N,...")
    backbone: str = flag("Architecture, as the setting of that name.", default="resnet18")
    pretext: str = flag("Pretext task, as the setting of that name.", default="simclr")
    precision: Literal["float32", "tf32", "bfloat16"] = flag("Of the training steps.", default="float32")
    size: int = flag("Side of the images, pixels.", default=96, least=8)
    batch: int = flag("Images over all workers (strong), and for each (weak).", default=32, least=2)
    rounds: int = flag("Steps and products of each row; figures are medians.", default=5, least=1)


@bench.command()
@takes(_ScalingOptions)
def scaling(asked: _ScalingOptions) -> None:
    """A pretraining step and a curvature product over worker processes: time, efficiency, share of communication."""
    from bissl_ray.benchmarks.scaling import Question, measure_scaling
    from bissl_ray.benchmarks.scaling_table import scaling_table

    workers = counts("--workers", asked.workers)
    asked.check()
    own = {each.name: getattr(asked, each.name) for each in fields(Question) if each.name != "workers"}
    measured = measure_scaling(Question(workers=workers, **own))
    asked.write(measured, scaling_table(measured))
