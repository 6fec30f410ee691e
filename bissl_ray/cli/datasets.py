"""`bissl-ray datasets` and `datasets check`: what can be swept, and whether a data folder is what it should be."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bissl_ray.cli import completion
from bissl_ray.cli.filling import Filler
from bissl_ray.cli.flags import takes
from bissl_ray.config.data_choice import USED, DataPlaces
from bissl_ray.errors import BadInputError

if TYPE_CHECKING:
    from bissl_ray.data import DataChoice, DatasetSpec, DatasetSplits
    from bissl_ray.data.checks.findings import Finding, Findings

_MOST_EXAMPLES = 20

datasets = typer.Typer(invoke_without_command=True, rich_markup_mode=None)


@datasets.callback()
def list_datasets(
    context: typer.Context,
    data_dir: Annotated[Path | None, typer.Option(help="Say which of them this folder holds.")] = None,
) -> None:
    """List the datasets: classes, images, metric; or check one: datasets check NAME."""
    if context.invoked_subcommand is not None:
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from bissl_ray.cli.terminal import Terminal
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
    console = Terminal()
    console.print(console.narrowed(table, ("val", "train", "test", "classes", "metric")))
    console.print(
        "\nAll but digits and digits_scenes, which are built in, need --data-dir FOLDER.\n"
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


@datasets.command()
@takes(DataPlaces, leave_out={"pretext_dataset", "pretext_data_dir", *USED})
def check(
    folders: DataPlaces,
    filler: Filler,
    name: Annotated[
        str,
        typer.Argument(
            help="Dataset to check.",
            autocompletion=completion.datasets,
        ),
    ],
    download: Annotated[bool, typer.Option("--download", help="Fetch what is missing first, where possible.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Look at layout, labels and counts; open no image.")] = False,
) -> None:
    """Check that a dataset is complete, that its labels fit together, and that every image opens."""
    from bissl_ray.data import get_dataset
    from bissl_ray.preflight.requests import data_choice

    spec = get_dataset(name)
    folders, used = filler.filled(folders, name)
    for said in used:
        typer.echo(said.line, err=True)
    choice = data_choice(folders, name, 0)
    if download:
        _download(spec, None if choice.data_dir is None else Path(choice.data_dir))
    findings = _check_with_progress(choice, quick)
    _show(spec, findings)
    if findings.problems:
        raise typer.Exit(2)


def _download(spec: "DatasetSpec", data_dir: Path | None) -> None:
    if spec.embedded:
        raise BadInputError(f"--download: {spec.name} comes with the program; leave it out")
    if spec.download is None:
        raise BadInputError(f"--download: {spec.name} can't be fetched for you. Where to get it: {spec.home}")
    if data_dir is None:
        raise BadInputError("--download: expected --data-dir FOLDER as well, to put the files into")
    if not spec.missing(data_dir):
        typer.echo(f"{spec.title} is in {data_dir} already; nothing is downloaded.", err=True)
        return
    typer.echo(f"Downloading {spec.title} into {data_dir}", err=True)
    spec.download(data_dir)
    missing = spec.missing(data_dir)
    if missing:
        # Some downloads leave alone what looks fetched by the folder's name.
        begun = [
            folder for folder in dict.fromkeys(data_dir / path.split("/")[0] for path in missing) if folder.exists()
        ]
        raise BadInputError(
            f"--download: {data_dir} still lacks {', '.join(missing)}; "
            + (f"delete {' and '.join(map(str, begun))}, which is incomplete, and run this again" if begun else "")
            + ("" if begun else f"fetch the files by hand: {spec.home}")
        )


def _check_with_progress(choice: "DataChoice", quick: bool) -> "Findings":
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from bissl_ray.cli.terminal import Terminal
    from bissl_ray.data.checks.dataset import check_dataset

    console = Terminal(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=quick or not console.is_interactive) as bar:
        task = bar.add_task("listing images", total=None)

        def opened(count: int, total: int) -> None:
            bar.update(task, completed=count, total=total, description="opening images")

        return check_dataset(choice, quick, opened)


def _show(spec: "DatasetSpec", findings: "Findings") -> None:
    from bissl_ray.cli.dataset_tables import show_sizes

    typer.echo(f"{spec.title} ({spec.name})\n")
    if findings.splits is not None:
        show_sizes(spec, findings.splits)
    for heading, found in (("note", findings.notes), ("problem", findings.problems)):
        for finding in found:
            _show_finding(heading, finding)
    if findings.splits is None and not findings.images:
        opened = "No image was opened."
    elif findings.opened is None:
        opened = f"{findings.images:,} images, none opened (--quick)."
    else:
        opened = f"{findings.opened:,} of {findings.images:,} images open."
    count = len(findings.problems)
    left = findings.left_out
    fine = f"{left:,} {'is' if left == 1 else 'are'} left out; else nothing is wrong." if left else "Nothing is wrong."
    verdict = fine if not count else "1 problem." if count == 1 else f"{count} problems."
    typer.echo(f"{_classes(spec, findings.splits)}{opened} {verdict}")


def _classes(spec: "DatasetSpec", splits: "DatasetSplits | None") -> str:
    """How many there are and, of a person's own, which: folders that are no classes show so."""
    if splits is None or splits.classes is None:
        return ""
    names = splits.class_names if spec.classes is None and splits.class_names is not None else ()
    more = ", ..." if len(names) > _MOST_EXAMPLES else ""
    listed = f": {', '.join(names[:_MOST_EXAMPLES])}{more}" if names else ""
    return f"{splits.classes:,} classes{listed}. "


def _show_finding(heading: str, finding: "Finding") -> None:
    typer.echo(f"{heading}: {finding.text}{':' if finding.examples else '.'}")
    shown = len(finding.examples) if finding.whole else _MOST_EXAMPLES
    for example in finding.examples[:shown]:
        typer.echo(f"  {example}")
    if len(finding.examples) > shown:
        typer.echo(f"  and {len(finding.examples) - shown:,} more")
