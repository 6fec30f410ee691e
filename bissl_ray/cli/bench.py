"""`bissl-ray bench`: measurements, as ratios within one run."""

import json as encoder
import os
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bissl_ray.cli.filling import Filler
from bissl_ray.cli.flags import takes
from bissl_ray.config.flags import flag
from bissl_ray.errors import BadInputError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from rich.console import Group


_MOST_DAMPING = 1e30
"""Single precision holds no more than 3e38, and the solve multiplies by it."""

bench = typer.Typer(
    help="Measure; every table gives ratios within one run.", no_args_is_help=True, rich_markup_mode=None
)


@bench.callback()
def benches() -> None:
    """Measure; every table gives ratios within one run."""


@bench.command()
def turnaround(
    trials: Annotated[int, typer.Option(min=2, help="Short digits trials to run each way.")] = 6,
    workers: Annotated[int, typer.Option(min=1, help="Workers per trial.")] = 2,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Time between one trial's end and the next one's first step, beside a TorchTrainer started per trial."""
    from rich.table import Table

    from bissl_ray.cli.terminal import Terminal
    from bissl_ray.workers import environment

    environment.prepare(None)
    from bissl_ray.benchmarks.turnaround import measure_turnaround

    results = measure_turnaround(trials, workers)
    if json:
        typer.echo(encoder.dumps([asdict(result) | {"typical": result.typical} for result in results], indent=2))
        return
    table = Table("seconds", *(result.way for result in results), "ratio")
    group, alone = results
    rows = [
        ("from the start to the first step", group.to_first_step, alone.to_first_step),
        ("from one trial's end to the next one's first step: median", group.typical, alone.typical),
        ("... smallest", min(group.between), min(alone.between)),
        ("... largest", max(group.between), max(alone.between)),
    ]
    for what, ours, other in rows:
        table.add_row(what, f"{ours:.2f}", f"{other:.2f}", f"{other / ours:.1f}x")
    Terminal().print(f"{trials} trials of {workers} workers each way")
    Terminal().print(table)


@dataclass(frozen=True, kw_only=True)
class _Figures:
    """How figures are written."""

    save: Path | None = flag("Write the figures to this JSON file as well.")
    json: bool = flag("Print JSON instead of a table.", "--json", default=False)

    def check(self) -> None:
        """Raise BadInputError unless they can be saved as asked for; nothing is written."""
        file = self.save
        if file is None:
            return
        if not file.parent.is_dir():
            raise BadInputError(
                f"--save {file}: found no folder {file.parent}; expected one: make it, or give another path"
            )
        if file.is_dir():
            raise BadInputError(
                f"--save {file}: found a folder; expected a file to write: give {file / 'figures.json'}"
            )
        if not os.access(file if file.exists() else file.parent, os.W_OK):
            raise BadInputError(f"--save {file}: it can't be written; change its permissions, or give another path")

    def write(self, measured: "DataclassInstance", table: "Group") -> None:
        """Print them, and save them where that was asked for."""
        from bissl_ray.cli.terminal import Terminal

        text = encoder.dumps(asdict(measured), indent=2)
        if self.json:
            typer.echo(text)
        else:
            Terminal().print(table)
        if self.save is not None:
            self.save.write_text(text + "\n", "utf-8")


@dataclass(frozen=True, kw_only=True)
class _HypergradientOptions(_Figures):
    """What is solved, and how: see `benchmarks.problem.Question` and `measure_hypergradient`."""

    backbone: str = flag("Architecture, as the setting of that name.", default="resnet18")
    batch: int = flag("Images per batch, over all workers.", default=16, least=4)
    size: int = flag("Side of the images, pixels.", default=96, least=8)
    workers: int = flag("Worker processes: gloo, or nccl with a GPU each.", default=1, least=1)
    upper_steps: int = flag("Linear solves of the stage.", default=8, least=1)
    pretrained: str | None = flag("Checkpoint to measure at; else a short pretraining.")
    pretrain_steps: int = flag("Steps of that pretraining.", default=300, least=1)
    damping: float | None = flag("Of the linear solve; default: so that M + H has condition number 2.5.", least=0)
    tolerance: float | None = flag("To stop at; default: the first row's true residual.", least=0, most=0.99)
    repeats: int = flag("Stages per row; times are medians.", default=1, least=1)


@bench.command()
@takes(_HypergradientOptions)
def hypergradient(asked: _HypergradientOptions) -> None:
    """The linear solves of one upper level: time, products, true residual and memory, way by way."""
    from bissl_ray.benchmarks.hypergradient import measure_hypergradient
    from bissl_ray.benchmarks.problem import Question
    from bissl_ray.benchmarks.processes import on_workers
    from bissl_ray.benchmarks.tables import measurement_table
    from bissl_ray.preflight.checkpoints import fetched
    from bissl_ray.preflight.sources.address import named

    workers, damping, pretrained = asked.workers, asked.damping, named(asked.pretrained)
    question = Question(**{each.name: getattr(asked, each.name) for each in fields(Question)})
    # Refused here: later, the figures of many minutes would be lost.
    if damping is not None and not 0 < damping <= _MOST_DAMPING:
        raise BadInputError(
            f"--damping {damping:g}: expected more than 0, since M is the damping alone here and must be positive, and "
            f"at most {_MOST_DAMPING:g}; or leave it out for one that suits the curvature"
        )
    asked.check()
    with ExitStack() as files:
        if pretrained is not None:
            # Fetched once, here: the workers are on this machine too.
            question = replace(question, pretrained=str(files.enter_context(fetched(pretrained)).path))
        question.check(workers)
        measured = on_workers(measure_hypergradient, workers, question, damping, asked.tolerance, asked.repeats)
    measured = replace(measured, question=replace(question, pretrained=pretrained))
    asked.write(measured, measurement_table(measured))


@dataclass(frozen=True, kw_only=True)
class _InputOptions(_Figures):
    """What is read, and how: see `benchmarks.input.Question`."""

    dataset: str | None = flag("Dataset of files; default: ready-made photographs.")
    data_dir: str | None = flag("Folder of that dataset.", once="data-dir")
    size: int = flag("Longer side of the ready-made photographs, pixels.", default=500, least=8)
    count: int = flag("Images, at most.", default=512, least=2)
    stream: Literal["train", "pretext"] = flag("What is drawn: one augmented image, or two views.", default="train")
    image_size: int = flag("Side of what a network is fed, pixels.", default=96, least=8)
    batch: int = flag("Images per batch.", default=64, least=1)
    processes: int = flag("Loader processes; 0: none beside the worker.", default=0, least=0)
    rounds: int = flag("Turns of each way; figures are medians.", default=9, least=1)
    seconds: float = flag("Length of a turn, about.", default=1.0, least=0.05)


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


@dataclass(frozen=True, kw_only=True)
class _TasksOptions(_Figures):
    """What is run: see `benchmarks.alternations.Question`."""

    backbone: str = flag("Architecture, as the setting of that name.", default="resnet18")
    detector: Literal["c4", "fpn"] = flag("As the setting of that name.", default="c4")
    size: int = flag("Side of all images, pixels.", default=96, least=32)
    lower_batch: int = flag("Images per lower step.", default=16, least=2)
    upper_batch: int = flag("Images per upper step.", default=4, least=2)
    lower_steps: int = flag("Lower steps of an alternation.", default=4, least=1)
    upper_steps: int = flag("Upper steps of an alternation.", default=4, least=1)
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
