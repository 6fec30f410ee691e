"""`bissl-ray datasets`: what can be swept, and which of it a data folder holds."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bissl_ray.cli.datasets_check import check
from bissl_ray.errors import BadInputError

if TYPE_CHECKING:
    from bissl_ray.data import DatasetSpec

datasets = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
datasets.command()(check)


@datasets.callback()
def list_datasets(
    context: typer.Context,
    data_dir: Annotated[Path | None, typer.Option(help="Say which of them this folder holds.")] = None,
) -> None:
    """List the datasets: classes, images, metric; or check one: datasets check NAME."""
    if context.invoked_subcommand is not None:
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from bissl_ray.data import dataset_names, get_dataset
    from bissl_ray.metrics import METRICS

    data_dir = None if data_dir is None else data_dir.expanduser()
    if data_dir is not None and not data_dir.is_dir():
        raise BadInputError(f"--data-dir {data_dir}: found no folder there; expected the one that holds the datasets")
    # Fits into 80 columns; what the folder holds takes the place of the titles.
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("dataset", no_wrap=True)
    table.add_column("title" if data_dir is None else f"in {data_dir}", overflow="fold")
    for heading in ("classes", "train", "val", "test"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("metric", no_wrap=True)
    for name in dataset_names():
        spec = get_dataset(name)
        counts = [f"{count:,}" for count in (spec.classes, *spec.sizes)] if spec.classes and spec.sizes else ["any"] * 4
        title = spec.title if data_dir is None else _presence(spec, data_dir)
        table.add_row(name, title, *counts, METRICS[spec.metric].title)
    console = Console()
    console.print(table)
    console.print(
        "\nAll but digits, which come with the program, need --data-dir FOLDER.\n"
        "What one needs there, and whether it is complete:\n"
        "  bissl-ray datasets check NAME --data-dir FOLDER",
        soft_wrap=True,
    )


def _presence(spec: "DatasetSpec", data_dir: Path) -> str:
    if spec.embedded:
        return "embedded"
    if not spec.required:
        return "a folder of its own"
    missing = spec.missing(data_dir)
    if not missing:
        return "there"
    return "-" if len(missing) == len(spec.required) else "missing: " + ", ".join(missing)
