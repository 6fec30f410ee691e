"""`bissl-ray bench`: measurements, as ratios within one run."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bissl_ray.errors import BadInputError


class Stream(StrEnum):
    """Which of training's streams of images."""

    train = "train"
    pretext = "pretext"


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
    import json as encoder
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table

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
    Console().print(f"{trials} trials of {workers} workers each way")
    Console().print(table)


@bench.command()
def hypergradient(
    backbone: Annotated[str, typer.Option(help="Architecture, as the setting of that name.")] = "resnet18",
    batch: Annotated[int, typer.Option(min=4, help="Images per batch, over all workers.")] = 16,
    size: Annotated[int, typer.Option(min=8, help="Side of the images, pixels.")] = 96,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes: gloo, or nccl with a GPU each.")] = 1,
    upper_steps: Annotated[int, typer.Option(min=1, help="Linear solves of the stage.")] = 8,
    pretrained: Annotated[str | None, typer.Option(help="Checkpoint to measure at; else a short pretraining.")] = None,
    pretrain_steps: Annotated[int, typer.Option(min=1, help="Steps of that pretraining.")] = 300,
    damping: Annotated[
        float | None, typer.Option(min=0, help="Of the linear solve; default: so that M + H has condition number 2.5.")
    ] = None,
    tolerance: Annotated[
        float | None, typer.Option(min=0, max=0.99, help="To stop at; default: the first row's true residual.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Stages per row; times are medians.")] = 1,
    save: Annotated[Path | None, typer.Option(help="Write the figures to this JSON file as well.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """The linear solves of one upper level: time, products, true residual and memory, way by way."""
    import json as encoder
    from dataclasses import asdict

    from rich.console import Console

    from bissl_ray.benchmarks.hypergradient import measure_hypergradient
    from bissl_ray.benchmarks.problem import Question
    from bissl_ray.benchmarks.processes import on_workers
    from bissl_ray.benchmarks.tables import measurement_table

    question = Question(backbone, size, batch, upper_steps, pretrain_steps, pretrained)
    question.check(workers)
    # Refused here: later, the figures of many minutes would be lost.
    if damping is not None and not 0 < damping <= _MOST_DAMPING:
        raise BadInputError(
            f"--damping {damping:g}: expected more than 0, since M is the damping alone here and must be positive, and "
            f"at most {_MOST_DAMPING:g}; or leave it out for one that suits the curvature"
        )
    if save is not None:
        _check_writable(save)
    measured = on_workers(measure_hypergradient, workers, question, damping, tolerance, repeats)
    text = encoder.dumps(asdict(measured), indent=2)
    if json:
        typer.echo(text)
    else:
        Console().print(measurement_table(measured))
    if save is not None:
        save.write_text(text + "\n")


@bench.command("input")
def input_rates(
    dataset: Annotated[str | None, typer.Option(help="Dataset of files; default: ready-made photographs.")] = None,
    data_dir: Annotated[str | None, typer.Option(help="Folder of that dataset.")] = None,
    size: Annotated[int, typer.Option(min=8, help="Longer side of the ready-made photographs, pixels.")] = 500,
    count: Annotated[int, typer.Option(min=2, help="Images, at most.")] = 512,
    stream: Annotated[Stream, typer.Option(help="What is drawn: one augmented image, or two views.")] = Stream.train,
    image_size: Annotated[int, typer.Option(min=8, help="Side of what a network is fed, pixels.")] = 96,
    batch: Annotated[int, typer.Option(min=1, help="Images per batch.")] = 64,
    processes: Annotated[int, typer.Option(min=0, help="Loader processes; 0: none beside the worker.")] = 0,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each way; figures are medians.")] = 9,
    seconds: Annotated[float, typer.Option(min=0.05, help="Length of a turn, about.")] = 1.0,
    save: Annotated[Path | None, typer.Option(help="Write the figures to this JSON file as well.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Images per second from files, from the cache of decoded images, and from memory: same transforms and loaders."""
    import json as encoder
    from dataclasses import asdict

    from rich.console import Console

    from bissl_ray.benchmarks.input import Question, measure_input
    from bissl_ray.benchmarks.tables import input_table
    from bissl_ray.data import DataChoice, get_dataset

    if dataset is not None:
        get_dataset(dataset)
    elif data_dir is not None:
        raise BadInputError("--data-dir without --dataset: say which dataset lies there, or leave it out")
    if save is not None:
        _check_writable(save)
    data = None if dataset is None else DataChoice(dataset, data_dir=data_dir)
    question = Question(data, size, count, stream.value, image_size, batch, processes, rounds, seconds)
    measured = measure_input(question)
    text = encoder.dumps(asdict(measured), indent=2)
    if json:
        typer.echo(text)
    else:
        Console().print(input_table(measured))
    if save is not None:
        save.write_text(text + "\n")


def _check_writable(file: Path) -> None:
    """Raise BadInputError unless a file can be written there; nothing is."""
    if not file.parent.is_dir():
        raise BadInputError(
            f"--save {file}: found no folder {file.parent}; expected one: make it, or give another path"
        )
    if file.is_dir():
        raise BadInputError(f"--save {file}: found a folder; expected a file to write: give {file / 'figures.json'}")
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise BadInputError(f"--save {file}: it can't be written; change its permissions, or give another path")
