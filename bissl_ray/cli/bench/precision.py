"""`bissl-ray bench precision`."""

from dataclasses import dataclass, fields

from bissl_ray.cli.bench.app import Figures, bench
from bissl_ray.cli.flags import takes
from bissl_ray.config.flags import flag


@dataclass(frozen=True, kw_only=True)
class _PrecisionOptions(Figures):
    """What is pretrained: see `benchmarks.precision.Question`."""

    backbone: str = flag("Architecture, as the setting of that name.", default="resnet18")
    pretext: str = flag("Pretext task, as the setting of that name.", default="simclr")
    size: int = flag("Side of the images, pixels.", default=32, least=8)
    batch: int = flag("Images per step.", default=64, least=2)
    steps: int = flag("Steps of pretraining in each arithmetic.", default=200, least=8)
    lr: float = flag("Peak learning rate of LARS.", default=1.0, least=0, most=1e3)
    seed: int = flag("Of weights, batches and augmentations.", default=0, least=0, most=2**32 - 1)


@bench.command("precision")
@takes(_PrecisionOptions)
def precision(asked: _PrecisionOptions) -> None:
    """Loss curves of pretraining in float32, in bfloat16 and, on CUDA, in TF32 beside each other, and their times."""
    from bissl_ray.benchmarks.precision import Question, measure_precision
    from bissl_ray.benchmarks.precision_table import precision_table

    asked.check()
    measured = measure_precision(Question(**{each.name: getattr(asked, each.name) for each in fields(Question)}))
    asked.write(measured, precision_table(measured))
