"""Tables of what a dataset that was checked comes to: images of each split and, of detection, objects of each class."""

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from bissl_ray.data import DatasetSpec, DatasetSplits
    from bissl_ray.data.checks.boxes import ObjectCounts

_MOST_CLASSES = 20


def show_sizes(spec: "DatasetSpec", splits: "DatasetSplits") -> None:
    """Print how many images, and objects where there are such, each split has."""
    from bissl_ray.cli.terminal import Terminal
    from bissl_ray.data.checks.boxes import object_counts

    published = dict(zip(("train", "validation", "test"), spec.sizes or (), strict=False))
    objects = object_counts(splits)
    table = _table("split")
    for heading, wanted in (
        ("images", True),
        ("published", published),
        ("objects", objects),
        ("no object", objects),
    ):
        if wanted:
            table.add_column(heading, justify="right")
    for split in ("pretext", "train", "validation", "test"):
        row = [f"{len(getattr(splits, split)):,}"]
        if published:
            row.append(f"{published[split]:,}" if split in published else "")
        if split in objects:
            row += [f"{objects[split].by_class.sum():,}", f"{objects[split].without:,}"]
        table.add_row(split, *row)
    Terminal().print(table)
    if objects:
        typer.echo("")
        Terminal().print(_by_class(splits, objects))
        more = (splits.classes or 0) - _MOST_CLASSES
        if more > 0:
            typer.echo(f"and {more:,} more with fewer objects")
    typer.echo(f"\nValidation: {splits.validation_from}.\n")


def _table(heading: str) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    return Table(heading, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)


def _by_class(splits: "DatasetSplits", objects: "dict[str, ObjectCounts]") -> "Table":
    """The objects of each class, the most frequent classes first."""
    counts = {split: counted.by_class.tolist() for split, counted in objects.items()}
    totals = [sum(each) for each in zip(*counts.values(), strict=True)]
    table = _table("objects of class")
    for split in counts:
        table.add_column(split, justify="right", no_wrap=True)
    for number in sorted(range(len(totals)), key=lambda number: -totals[number])[:_MOST_CLASSES]:
        name = str(number) if splits.class_names is None else splits.class_names[number]
        table.add_row(name, *(f"{each[number]:,}" for each in counts.values()))
    return table
