"""`bissl-ray list`, `status` and `diff`: what a storage holds, as things with names."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bissl_ray.addresses import sayable
from bissl_ray.cli import completion
from bissl_ray.cli.flags import takes
from bissl_ray.cli.leaderboard import damage, end
from bissl_ray.cli.streams import print_json
from bissl_ray.cli.sweep import storage_flag
from bissl_ray.config.options import DiffOptions, ListOptions, StatusOptions
from bissl_ray.errors import BadInputError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from bissl_ray.catalog.stock import Stock

Written = Annotated[Literal["table", "json"], typer.Option("--format", "-f", help="How to write it.")]


@takes(ListOptions)
def list_things(asked: ListOptions, format: Written = "table") -> None:
    """List the sweeps, stages and comparisons of a storage: how each stands, what it has come to, how large it is."""
    from bissl_ray.catalog.things import read_things
    from bissl_ray.cli.catalog_view import things_table

    stock = stock_of(asked.storage)
    with damage() as notes:
        things = read_things(stock)
    _say(notes)
    if asked.dataset is not None:
        datasets = sorted({name for thing in things for name in (thing.dataset or "").split(", ") if name})
        if asked.dataset not in datasets:
            raise BadInputError(f"nothing in {asked.storage} is on dataset {asked.dataset!r}: {_few(datasets)}")
        things = [thing for thing in things if asked.dataset in (thing.dataset or "").split(", ")]
    if format == "json":
        print_document({"storage": asked.storage, "things": [asdict(thing) for thing in things]})
    elif things:
        _print(*things_table(things))
    else:
        typer.echo(
            sayable(
                f"no sweep, stage or comparison in {asked.storage} yet; start one with: "
                f"bissl-ray sweep{storage_flag(asked.storage)}"
            )
        )
    end(notes)


@takes(StatusOptions)
def status(
    asked: StatusOptions,
    name: Annotated[
        str,
        typer.Argument(help="Of a sweep, a stage or a comparison.", autocompletion=completion.things),
    ],
    format: Written = "table",
) -> None:
    """Say how a sweep, stage or comparison stands: what is left, who runs it, what it has found, what to type next."""
    from bissl_ray.catalog.status import read_status
    from bissl_ray.cli.catalog_view import overview

    stock = stock_of(asked.storage)
    with damage() as notes:
        found = read_status(stock, name, storage_flag(asked.storage))
    _say(notes)
    if format == "json":
        print_document({"storage": asked.storage, **asdict(found)})
    else:
        _print(overview(found))
        if found.next is not None:
            typer.echo(f"\nNext: {sayable(found.next)}")
    end(notes)


@takes(DiffOptions)
def diff(
    asked: DiffOptions,
    a: Annotated[
        str,
        typer.Argument(
            metavar="A", help="A trial, TRIAL or SWEEP/TRIAL, or a sweep.", autocompletion=completion.trials_or_sweeps
        ),
    ],
    b: Annotated[
        str,
        typer.Argument(metavar="B", help="What it is compared with.", autocompletion=completion.trials_or_sweeps),
    ],
    format: Written = "table",
) -> None:
    """Set two trials, or two sweeps, beside each other: what differs in settings and in score, paired by seed."""
    from bissl_ray.catalog.diff import diff as compared
    from bissl_ray.cli.catalog_view import diff_view

    _stock_is_there(asked.storage)
    with damage() as notes:
        found = compared(_absolute(asked.storage), a, b, asked.sweep)
    _say(notes)
    if format == "json":
        print_document({"storage": asked.storage, **asdict(found)})
    else:
        _print(*diff_view(found))
    end(notes)


def _absolute(storage: str) -> str:
    from bissl_ray.store.paths import absolute_storage

    return absolute_storage(storage)


def stock_of(storage: str) -> "Stock":
    """All that a storage holds (raises BadInputError: there is none)."""
    from bissl_ray.catalog.stock import Stock

    _stock_is_there(storage)
    return Stock(_absolute(storage))


def _stock_is_there(storage: str) -> None:
    """Refuse a storage that there isn't, by the name that was typed."""
    from bissl_ray.store.filesystem import is_there

    if not is_there(_absolute(storage)):
        raise BadInputError(
            f"storage {storage!r}: found no such folder; give the one that a sweep wrote to with --storage, or start "
            "a sweep with `bissl-ray sweep`"
        )


def _print(*parts: "RenderableType") -> None:
    from bissl_ray.cli.terminal import Terminal

    console = Terminal()
    for part in parts:
        console.print(part)


def print_document(document: dict[str, Any]) -> None:
    """Print a document as JSON; what is not a number is null."""
    from bissl_ray.leaderboard.render import dumped

    print_json(dumped(document))


def _say(notes: Sequence[str]) -> None:
    for note in notes:
        typer.echo(note, err=True)


def _few(names: Sequence[str]) -> str:
    return f"there is {', '.join(names)}" if names else "it holds nothing"
