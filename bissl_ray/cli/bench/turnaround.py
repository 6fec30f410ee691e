"""`bissl-ray bench turnaround`."""

import json as encoder
from dataclasses import asdict
from typing import Annotated

import typer

from bissl_ray.cli.bench.app import bench


@bench.command()
def turnaround(
    trials: Annotated[int, typer.Option(min=2, max=1000, help="Short digits trials to run each way.")] = 6,
    workers: Annotated[int, typer.Option(min=1, help="Workers per trial.")] = 2,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Time between one trial's end and the next one's first step, beside a TorchTrainer started per trial."""
    from rich.table import Table

    from bissl_ray.cli.terminal import Terminal
    from bissl_ray.workers import environment

    environment.prepare(None)
    from bissl_ray.benchmarks.device import device_name
    from bissl_ray.benchmarks.turnaround import measure_turnaround
    from bissl_ray.training.worker import default_device
    from bissl_ray.workers.shape import this_machine

    # Refused here, before Ray is started.
    this_machine().shape(workers, "", "--workers")
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
    Terminal().print(f"{trials} trials of {workers} workers each way; {device_name(default_device())}")
    Terminal().print(table)
