"""`bissl-ray bench driver`."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import typer

from bissl_ray.cli.bench.app import Figures, bench
from bissl_ray.cli.flags import takes
from bissl_ray.config.flags import flag
from bissl_ray.errors import BadInputError

_MOST_GROUPS: Final = 1000
_LONGEST_S: Final = 3600


@dataclass(frozen=True, kw_only=True)
class _DriverOptions(Figures):
    """How long the sweep is and how it proposes: see `benchmarks.driver.measure_driver`."""

    trials: str = flag(
        "Numbers of trials at which to measure, with commas between them; the sweep has as many as the last.",
        default="1000,5000,10000",
        metavar="N,N",
    )
    sampler: str = flag("Of the search, as protocol.sampler.", default="tpe")
    groups: int | None = flag(
        "Worker groups side by side, however many processors there are; default: one for each.", default=None
    )
    seconds: float = flag(
        "Sleep so long before each report; with many groups on few processors their start is measured else.",
        default=0.0,
    )


@bench.command()
@takes(_DriverOptions)
def driver(asked: _DriverOptions) -> None:
    """Trials per second through all of a sweep but their training, the driver's memory, and how soon it resumes."""
    from bissl_ray.workers import environment

    marks = _marks(asked.trials)
    asked.check()
    if asked.groups is not None and not 1 <= asked.groups <= _MOST_GROUPS:
        raise BadInputError(f"--groups {asked.groups}: expected 1 to {_MOST_GROUPS}, each of them a process")
    if not 0 <= asked.seconds <= _LONGEST_S:
        raise BadInputError(f"--seconds {asked.seconds:g}: expected 0 to {_LONGEST_S}")
    environment.prepare(None)
    from bissl_ray.benchmarks.driver import driver_table, measure_driver

    measured = measure_driver(
        marks, asked.sampler, lambda line: typer.echo(line, err=True), asked.groups, asked.seconds
    )
    asked.write(measured, driver_table(measured))


def _marks(written: str) -> list[int]:
    found = written.replace(" ", "").split(",")
    numbers = [int(each) for each in found if each.isdecimal()]
    rising = all(before < after for before, after in pairwise(numbers))
    if len(numbers) < len(found) or not rising or not 1 <= numbers[0] <= numbers[-1] <= 1_000_000:
        raise BadInputError(f"--trials {written}: expected rising numbers from 1 to 1000000, such as 1000,5000,10000")
    return numbers
