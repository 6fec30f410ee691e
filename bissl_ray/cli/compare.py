"""`bissl-ray compare`: BiSSL against the conventional pipeline, paired over seeds."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bissl_ray.addresses import sayable
from bissl_ray.cli.compare_filling import CompareFiller
from bissl_ray.cli.filling import Filler
from bissl_ray.cli.flags import takes
from bissl_ray.cli.leaderboard import Format
from bissl_ray.cli.streams import print_csv, print_json, print_markdown
from bissl_ray.cli.sweep import INTERRUPTED, say_of_winner, storage_flag, terminal_view
from bissl_ray.config.options import CompareOptions

if TYPE_CHECKING:
    from bissl_ray.config.requests import Comparison


@takes(CompareOptions)
def compare(
    asked: CompareOptions,
    filler: Filler,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, show the plan, start nothing.")] = False,
    format: Annotated[Format, typer.Option("--format", "-f", help="How to write the result.")] = "table",
    plot: Annotated[Path | None, typer.Option(help="Draw it as well: FILE.svg, .png or .pdf.")] = None,
) -> None:
    """Compare BiSSL with plain fine-tuning from the same checkpoints, both tuned alike, over the same seeds."""
    from datetime import datetime

    from bissl_ray.compare.prepare import prepare_comparison
    from bissl_ray.compare.run import check_comparison, plan_of, read_comparison, unfinished
    from bissl_ray.leaderboard.comparison.plot import check_plot
    from bissl_ray.store import check_writable
    from bissl_ray.store.paths import absolute_storage

    if plot is not None:
        check_plot(plot)
    place, name = absolute_storage(asked.storage), asked.name or f"compare-{datetime.now():%Y%m%d-%H%M%S}"
    known = read_comparison(place, name)
    once = CompareFiller(filler, known)
    comparison = prepare_comparison(once.chosen(asked), name, place, known, once.of_dataset)
    code = 0
    if left := unfinished(comparison, place):
        check_writable(place)
        read = check_comparison(comparison, place, asked.address, with_cost=dry_run)
        if dry_run:
            for line in (*(f"# {said}" for said in once.lines), *plan_of(comparison, left, read)):
                typer.echo(sayable(line))
            return
        for line in once.lines:
            typer.echo(sayable(line), err=format != "table")
        code = _run(comparison, place, asked, format)
        if code == INTERRUPTED:
            raise typer.Exit(code)
    all_have_a_result = _show(comparison, place, format, plot)
    raise typer.Exit(code if all_have_a_result else 1)


def _run(comparison: "Comparison", place: str, asked: CompareOptions, format: Format) -> int:
    """Run what is left; the exit code: 1 something failed that a person must see to, 130 interrupted."""
    from bissl_ray.compare.run import run_comparison

    code = 0
    go_on = f"bissl-ray compare --name {comparison.name}{storage_flag(asked.storage)}"
    try:
        for outcome in run_comparison(
            comparison, place, asked.address, lambda case: terminal_view(case.sweep, stderr=format != "table")
        ):
            if outcome.problem is not None:
                typer.echo(f"{outcome.name}: {outcome.problem}. Go on later with: {go_on}", err=True)
                code = 1
            elif not outcome.finished:
                typer.echo(f"Interrupted; everything reported is saved. Go on with:\n  {go_on}", err=True)
                return INTERRUPTED
    except KeyboardInterrupt:
        typer.echo(f"Interrupted at once. Go on with:\n  {go_on}", err=True)
        return INTERRUPTED
    return code


def _show(comparison: "Comparison", place: str, format: Format, plot: Path | None) -> bool:
    """Show what was found; whether every case that has run has a result."""
    from bissl_ray.compare.results import board_of
    from bissl_ray.leaderboard.comparison.plot import write_plot
    from bissl_ray.leaderboard.comparison.render import (
        comparison_csv,
        comparison_json,
        comparison_markdown,
        comparison_table,
    )

    board = board_of(comparison, place)
    if format == "table":
        from bissl_ray.cli.terminal import Terminal

        console = Terminal()
        console.print(comparison_table(board, console))
        for case in comparison.cases:
            say_of_winner(place, case.sweep)
    elif format == "json":
        print_json(comparison_json(board))
    elif format == "csv":
        print_csv(comparison_csv(board))
    else:
        print_markdown(comparison_markdown(board))
    if plot is not None:
        write_plot(board, plot)
        typer.echo(f"Drawn: {plot}", err=True)
    return not any(case.without_result for case in board.cases)
