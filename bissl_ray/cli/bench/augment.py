"""`bissl-ray bench augment`."""

from dataclasses import dataclass, fields
from typing import Literal

from bissl_ray.cli.bench.app import LARGEST_INPUT, LARGEST_PHOTOGRAPH, Figures, bench
from bissl_ray.cli.flags import takes
from bissl_ray.config.flags import flag


@dataclass(frozen=True, kw_only=True)
class _AugmentOptions(Figures):
    """What is augmented, and how: see `benchmarks.augment.Question`."""

    stream: Literal["pretext", "train"] = flag("What is drawn: two views, or one augmented image.", default="pretext")
    size: int = flag("Longer side of the photographs, pixels.", default=500, least=8, most=LARGEST_PHOTOGRAPH)
    count: int = flag("Photographs.", default=256, least=1)
    image_size: int = flag("Side of what a network is fed, pixels.", default=96, least=8, most=LARGEST_INPUT)
    batch: int = flag("Photographs per batch.", default=64, least=1)
    threads: int = flag("Threads of the CPU.", default=1, least=1)
    rounds: int = flag("Turns of each way; figures are medians.", default=7, least=1)


@bench.command("augment")
@takes(_AugmentOptions)
def augment(asked: _AugmentOptions) -> None:
    """Photographs augmented per second: torchvision's transforms, compiled code, and batches on the device."""
    from bissl_ray.benchmarks.augment import Question, augment_table, measure_augment

    asked.check()
    measured = measure_augment(Question(**{each.name: getattr(asked, each.name) for each in fields(Question)}))
    asked.write(measured, augment_table(measured))
