"""`bissl-ray launch`: recipes to start a Ray cluster to sweep on."""

from pathlib import Path
from typing import Annotated

import typer

from bissl_ray.cli import completion
from bissl_ray.config.space_files import resource_dir
from bissl_ray.errors import BadInputError, nearest


def launch(
    name: Annotated[
        str | None,
        typer.Argument(
            help="A recipe, printed to write into a file; without it, they are listed.",
            autocompletion=completion.recipes,
        ),
    ] = None,
) -> None:
    """List the recipes to start a Ray cluster with, or print one: bissl-ray launch slurm.sbatch > sweep.sbatch."""
    recipes = shipped_recipes()
    if name is None:
        _print_list(recipes)
        return
    if name not in recipes:
        hint = nearest(name, recipes) or f"; there are: {', '.join(recipes)}"
        raise BadInputError(f"there is no recipe {name!r}{hint}")
    typer.echo(recipes[name].read_text("utf-8"), nl=False)


def shipped_recipes() -> dict[str, Path]:
    """The recipes by name: every file of the launch folder, the page about them included."""
    return {path.name: path for path in sorted(resource_dir("launch").iterdir()) if path.is_file()}


def _print_list(recipes: dict[str, Path]) -> None:
    from rich.table import Column, Table

    from bissl_ray.cli.terminal import Terminal

    table = Table(Column("recipe", no_wrap=True), "for whom", box=None)
    for name, path in recipes.items():
        # A recipe's first comment or heading says for whom it is.
        first = next(line for line in path.read_text("utf-8").splitlines() if line.startswith("# "))
        table.add_row(name, first.removeprefix("# "))
    Terminal().print(table)
    typer.echo("\nPrint one: bissl-ray launch NAME; then sweep on it: bissl-ray sweep --address HOST:PORT")
