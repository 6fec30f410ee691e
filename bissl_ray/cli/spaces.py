"""The verb ``spaces``: list the shipped search spaces, or print one with everything that it inherits."""

from enum import StrEnum
from typing import Annotated

import typer

from bissl_ray.errors import BadInputError


class SpaceFormat(StrEnum):
    """How one search space is printed."""

    yaml = "yaml"
    json = "json"


def spaces(
    name: Annotated[
        str | None, typer.Argument(help="A shipped space or a file; without it, the shipped ones are listed.")
    ] = None,
    format: Annotated[SpaceFormat | None, typer.Option(help="How one space is printed.", show_default="yaml")] = None,
) -> None:
    """List the search spaces, or print one with everything it inherits and where each key came from."""
    if name is not None:
        _print_one(name, SpaceFormat.yaml if format is None else format)
    elif format is not None:
        raise BadInputError(f"--format {format} prints one space and found no name; name it: bissl-ray spaces digits")
    else:
        _print_list()


def _print_one(name: str, format: SpaceFormat) -> None:
    from bissl_ray.config import load_search_space, to_yaml

    space = load_search_space(name)
    text = to_yaml(space) if format is SpaceFormat.yaml else space.model_dump_json(indent=2) + "\n"
    typer.echo(text, nl=False)


def _print_list() -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from bissl_ray.config import load_search_space, shipped_spaces

    table = Table("dataset", "backbone", "searched", "in fine-tuning", "protocol", box=SIMPLE_HEAD, show_lines=True)
    for column in table.columns:
        column.overflow = "fold"
    for name in shipped_spaces():
        space = load_search_space(name)
        plan = space.protocol
        phases = (
            f"{plan.trials} trials",
            f"{plan.finalists} finalists",
            f"{plan.finetune_runs} runs each",
            f"{plan.seeds} seeds",
        )
        table.add_row(
            space.dataset,
            space.settings({}).backbone,
            "\n".join(space.parameters),
            "\n".join(space.finetune_parameters),
            "\n".join(phases),
        )
    Console().print(table)
