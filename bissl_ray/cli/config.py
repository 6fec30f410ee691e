"""`bissl-ray config`: what is said once, where, and what of it holds; or a file to begin with."""

from pathlib import Path
from typing import Annotated

import typer

from bissl_ray.cli import completion
from bissl_ray.errors import BadInputError


def config(
    path: Annotated[Path | None, typer.Argument(help="File to write. [bissl-ray.toml]", metavar="[PATH]")] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="Show what holds for this dataset.",
            autocompletion=completion.datasets,
        ),
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Write a file with every key, commented out.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there already.")] = False,
) -> None:
    """Show what is said once, in bissl-ray.toml or the environment, and where; or write a file to begin with."""
    if write:
        if dataset is not None:
            raise BadInputError("--write writes every key, for any dataset: leave --dataset out")
        typer.echo(f"{_write(path, force)}: written; every key in it is commented out")
        return
    if path is not None or force:
        given = f"{path}" if path is not None else "--force"
        raise BadInputError(f"{given} says how a file is written, and none is: add --write, or leave it out")
    _show(dataset)


def _show(dataset: str | None) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from bissl_ray.cli.filling_data import check_datasets
    from bissl_ray.cli.terminal import Terminal
    from bissl_ray.config.said_once import KEYS, read_all
    from bissl_ray.data import get_dataset

    if dataset is not None:
        get_dataset(dataset)
    said = read_all()
    check_datasets(said)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("key", no_wrap=True)
    table.add_column("value" if dataset is None else f"for {dataset}", overflow="fold")
    table.add_column("from", overflow="fold")
    for key in KEYS.values():
        if dataset is not None and key.name == "dataset":
            continue
        found = said.find(key.name, dataset)
        value, origin = (key.unless_said, "default") if found is None else (found.shown, found.origin)
        table.add_row(key.name, Text(value), Text(origin))
    console = Terminal()
    console.print(table)
    own = [name for name in said.datasets if name != dataset]
    if own:
        others = "Other datasets" if dataset is not None else "Datasets"
        names = f"{others} with values of their own: {', '.join(own)}."
        console.print(Text(f"{names} One of them: bissl-ray config --dataset NAME"))
    if not said:
        console.print("Nothing is said in a file or the environment. A file to begin with: bissl-ray config --write")


def _write(path: Path | None, force: bool) -> Path:
    """Write the file, whole or not at all (raises BadInputError: it is there, or can't be written)."""
    from bissl_ray.config.said_once.places import FILE, users_file, with_tilde
    from bissl_ray.config.said_once.template import template
    from bissl_ray.store import atomic_write, open_storage, reason

    target = Path(FILE) if path is None else path.expanduser()
    if target.is_dir():
        target = target / FILE
    users = users_file()
    text = template("~/.config/bissl-ray/config.toml" if users is None else with_tilde(users))
    if target.is_symlink() or target.exists():
        if not force:
            raise BadInputError(f"{target} is there already: add --force to replace it, or name another file")
        if not target.is_file():
            raise BadInputError(f"{target} is no file that can be replaced: name another")
    try:
        filesystem, place = open_storage(target)
        atomic_write(filesystem, place, text.encode())
    except OSError as error:
        raise BadInputError(f"{target} can't be written ({reason(error)}): name another file") from None
    return target
