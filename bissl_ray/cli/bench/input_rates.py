"""`bissl-ray bench input`."""

from dataclasses import dataclass, fields
from typing import Literal

from bissl_ray.cli.bench.app import LARGEST_INPUT, LARGEST_PHOTOGRAPH, LONGEST_TURN, Figures, bench
from bissl_ray.cli.filling import Filler
from bissl_ray.cli.flags import takes
from bissl_ray.config.flags import flag
from bissl_ray.errors import BadInputError


@dataclass(frozen=True, kw_only=True)
class _InputOptions(Figures):
    """What is read, and how: see `benchmarks.input.Question`."""

    dataset: str | None = flag("Dataset of files; default: ready-made photographs.")
    data_dir: str | None = flag("Folder of that dataset.", once="data-dir")
    size: int = flag(
        "Longer side of the ready-made photographs, pixels.", default=500, least=8, most=LARGEST_PHOTOGRAPH
    )
    count: int = flag("Images, at most.", default=512, least=2)
    stream: Literal["train", "pretext"] = flag("What is drawn: one augmented image, or two views.", default="train")
    image_size: int = flag("Side of what a network is fed, pixels.", default=96, least=8, most=LARGEST_INPUT)
    batch: int = flag("Images per batch.", default=64, least=1)
    processes: int = flag("Loader processes; 0: none beside the worker.", default=0, least=0)
    rounds: int = flag("Turns of each way; figures are medians.", default=9, least=1)
    seconds: float = flag("Length of a turn, about.", default=1.0, least=0.05, most=LONGEST_TURN)


@bench.command("input")
@takes(_InputOptions)
def input_rates(asked: _InputOptions, filler: Filler) -> None:
    """Images per second from files, from the cache of decoded images, and from memory: same transforms and loaders."""
    from bissl_ray.benchmarks.input import Question, measure_input
    from bissl_ray.benchmarks.tables import input_table
    from bissl_ray.data import DataChoice, get_dataset

    if asked.dataset is not None:
        get_dataset(asked.dataset)
        asked, _ = filler.filled(asked, asked.dataset)
    elif asked.data_dir is not None:
        raise BadInputError("--data-dir without --dataset: say which dataset lies there, or leave it out")
    asked.check()
    own = {each.name: getattr(asked, each.name) for each in fields(Question) if each.name != "data"}
    data = None if asked.dataset is None else DataChoice(asked.dataset, data_dir=asked.data_dir)
    measured = measure_input(Question(data, **own))
    asked.write(measured, input_table(measured))
