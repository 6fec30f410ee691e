"""`bissl-ray rm` and `clean`: things of a storage removed, and what nothing needs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from bissl_ray.addresses import sayable
from bissl_ray.cli import completion
from bissl_ray.cli.catalog import Written, print_document, stock_of
from bissl_ray.cli.flags import takes
from bissl_ray.config.options import CleanOptions, RemoveOptions
from bissl_ray.errors import BadInputError

if TYPE_CHECKING:
    from rich.console import RenderableType


@takes(RemoveOptions)
def rm(
    asked: RemoveOptions,
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME...", help="Of sweeps, stages, comparisons.", autocompletion=completion.things),
    ],
    format: Written = "table",
) -> None:
    """Remove sweeps, stages and comparisons for good: rows, checkpoints, documents; those of a comparison's sweeps too.

    Pretrained models that another sweep starts from stay. A removal that was cut off is finished by the same command.
    """
    from bissl_ray.catalog.remove import check_removable, plan_removal, remove_all
    from bissl_ray.cli.catalog_view import removal_lines, removal_table

    stock = stock_of(asked.storage)
    plans = plan_removal(stock, names)
    check_removable(stock, plans)
    if not asked.yes:
        _ask([removal_table(plans)], "Remove for good?", "rm removes for good", format)
    plans = remove_all(stock, plans)
    if format == "json":
        removed = [
            {**plan.ref._asdict(), "files": len(plan.files), "bytes": plan.bytes, "notes": plan.notes} for plan in plans
        ]
        print_document({"storage": asked.storage, "removed": removed, "bytes": sum(plan.bytes for plan in plans)})
    else:
        for line in removal_lines(plans):
            typer.echo(sayable(line))


@takes(CleanOptions)
def clean(
    asked: CleanOptions,
    name: Annotated[
        str | None,
        typer.Argument(help="One sweep, stage or comparison. [all]", autocompletion=completion.things),
    ] = None,
    format: Written = "table",
) -> None:
    """Remove checkpoints that nothing needs: of trials that are neither the winner's nor among the best, and leftovers.

    What resuming, extending, the test split, export and running a trial again need stays, as do all results.
    """
    from bissl_ray.catalog.clean import clean as carry_out
    from bissl_ray.catalog.clean import plan_cleaning
    from bissl_ray.cli.catalog_view import cleaned_line, needless_lines, needless_table

    stock = stock_of(asked.storage)
    plan = plan_cleaning(stock, name)
    for line in plan.kept:
        typer.echo(sayable(f"left as it is: {line}"), err=True)
    going = plan.files
    if going and not asked.dry_run and not asked.yes:
        _ask([needless_table(plan)], "Remove these for good?", "clean removes for good", format)
    gone = [] if asked.dry_run or not going else carry_out(stock, plan)
    if format == "json":
        told = going if asked.dry_run else gone
        files = [each._asdict() for each in told]
        print_document(
            {
                "storage": asked.storage,
                "dry_run": asked.dry_run,
                "files": files,
                "bytes": sum(each.bytes for each in told),
                "kept": plan.kept,
            }
        )
        return
    if not going:
        typer.echo(sayable(f"nothing in {name or asked.storage} that is not needed"))
    elif asked.dry_run:
        for line in needless_lines(plan):
            typer.echo(sayable(line))
        typer.echo("Nothing was removed; leave --dry-run out to remove them.")
    else:
        typer.echo(sayable(cleaned_line(gone)))


def _ask(shown: "Sequence[RenderableType]", question: str, what: str, format: str) -> None:
    """Show what goes, and ask; a no ends the command.

    Raises:
        BadInputError: nobody is there to answer.
    """
    import sys

    from bissl_ray.cli.terminal import Terminal

    if not sys.stdin.isatty():
        raise BadInputError(f"{what}, and asks at a terminal, which standard input is not: add --yes")
    console = Terminal(stderr=format == "json")
    for each in shown:
        console.print(each)
    if not typer.confirm(question, err=format == "json"):
        typer.echo("Nothing was removed.", err=True)
        raise typer.Exit(0)
