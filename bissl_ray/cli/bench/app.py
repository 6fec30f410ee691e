"""The group of the benchmarks, and how they write their figures."""

import json as encoder
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from bissl_ray.config.flags import flag
from bissl_ray.errors import BadInputError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from rich.console import Group

bench = typer.Typer(
    help="Measure; every table gives ratios within one run.", no_args_is_help=True, rich_markup_mode=None
)

MOST_PROCESSES: Final = 256
MOST_STEPS: Final = 10_000
"""Of a round: their batches are held in memory."""
LARGEST_INPUT: Final = 1024
"""As the setting `image_size`."""
LARGEST_PHOTOGRAPH: Final = 10_000
LONGEST_TURN: Final = 3600.0


@bench.callback()
def benches() -> None:
    """Measure; every table gives ratios within one run."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """How figures are written."""

    save: Path | None = flag("Write the figures to this JSON file as well.", "--save", "-o")
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


def counts(flag_name: str, written: str) -> list[int]:
    """Numbers of processes, rising, as they are written after a flag: 1,2,4 (raises BadInputError)."""
    found = written.replace(" ", "").split(",")
    numbers = [int(each) for each in found if each.isdecimal()]
    if (
        len(numbers) < len(found)
        or not 1 <= min(numbers) <= max(numbers) <= MOST_PROCESSES
        or numbers != sorted(set(numbers))
    ):
        raise BadInputError(f"{flag_name} {written}: expected rising numbers from 1 to {MOST_PROCESSES}, such as 1,2,4")
    return numbers
