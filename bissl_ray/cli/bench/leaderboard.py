"""`bissl-ray bench leaderboard`."""

from dataclasses import dataclass
from typing import Final

import typer

from bissl_ray.cli.bench.app import Figures, bench
from bissl_ray.cli.flags import takes
from bissl_ray.config.flags import flag
from bissl_ray.errors import BadInputError

_MOST_ROWS: Final = 100_000_000
_MOST_SWEEPS: Final = 100_000


@dataclass(frozen=True, kw_only=True)
class _BoardBenchOptions(Figures):
    """How large the storages are: see `benchmarks.board.measure_board`."""

    rows: str = flag("Numbers of rows of a storage, with commas between them.", default="1000,1000000", metavar="N,N")
    sweeps: int = flag("Sweeps that these are of; fewer where they would have less than fifty rows.", default=100)
    repeats: int = flag("Processes of each kind, taken in turns.", default=3, least=1)


@bench.command()
@takes(_BoardBenchOptions)
def leaderboard(asked: _BoardBenchOptions) -> None:
    """The leaderboard over large storages as a whole process, beside DuckDB's answer from the same files."""
    numbers = [int(each) for each in asked.rows.replace(" ", "").split(",") if each.isdecimal()]
    if len(numbers) < asked.rows.count(",") + 1 or not 1 <= min(numbers) <= max(numbers) <= _MOST_ROWS:
        raise BadInputError(f"--rows {asked.rows}: expected numbers from 1 to {_MOST_ROWS}, such as 1000,1000000")
    if not 1 <= asked.sweeps <= _MOST_SWEEPS:
        raise BadInputError(f"--sweeps {asked.sweeps}: expected 1 to {_MOST_SWEEPS}")
    asked.check()
    from bissl_ray.benchmarks.board import board_table, measure_board

    measured = measure_board(numbers, asked.sweeps, asked.repeats, lambda line: typer.echo(line, err=True))
    asked.write(measured, board_table(measured))
