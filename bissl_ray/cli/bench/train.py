"""`bissl-ray bench train`."""

from dataclasses import dataclass, fields
from typing import Literal

from bissl_ray.cli.bench.app import LARGEST_PHOTOGRAPH, MOST_STEPS, Figures, bench
from bissl_ray.cli.flags import takes
from bissl_ray.config.flags import flag


@dataclass(frozen=True, kw_only=True)
class _TrainOptions(Figures):
    """What is trained, and how: see `benchmarks.train.Question`."""

    backbone: str = flag("Architecture, as the setting of that name.", default="resnet18")
    pretext: str = flag("Pretext task, as the setting of that name.", default="simclr")
    precision: Literal["float32", "tf32", "bfloat16"] = flag("Of the training steps.", default="float32")
    size: int = flag("Side of what the network is fed, pixels.", default=96, least=8)
    batch: int = flag("Images per step, of every stage.", default=64, least=4)
    steps: int = flag("Steps of a round, at each level.", default=8, least=1, most=MOST_STEPS)
    rounds: int = flag("Rounds of each stage.", default=3, least=1)
    processes: int = flag("Loader processes of each stream of images; 0: none.", default=4, least=0)
    photographs: int = flag("Image files to draw from.", default=512, least=20)
    side: int = flag("Longer side of these, pixels.", default=500, least=8, most=LARGEST_PHOTOGRAPH)


@bench.command()
@takes(_TrainOptions)
def train(asked: _TrainOptions) -> None:
    """Each stage's steps: images per second, how busy the device is, peak memory, share of what it could compute."""
    from bissl_ray.benchmarks.train import Question, measure_train
    from bissl_ray.benchmarks.train_tables import train_table

    asked.check()
    measured = measure_train(Question(**{each.name: getattr(asked, each.name) for each in fields(Question)}))
    asked.write(measured, train_table(measured))
