"""`bissl-ray compare`: BiSSL against the conventional pipeline, paired over seeds."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bissl_ray.cli.leaderboard import Format

if TYPE_CHECKING:
    from bissl_ray.compare.starts import Start
    from bissl_ray.config.requests import Comparison

_INTERRUPTED = 130


def compare(
    dataset: Annotated[
        list[str] | None, typer.Option(help="Dataset; give it again for several. [the space's, else digits]")
    ] = None,
    pretrained: Annotated[
        list[str] | None,
        typer.Option(help="Self-supervised checkpoint, FILE or LABEL=FILE; give it again for several."),
    ] = None,
    pretrain_epochs: Annotated[
        str | None, typer.Option(help="Pretrain here, for each of these lengths: 5,20,80.")
    ] = None,
    pretrained_head: Annotated[
        str | None, typer.Option(help="Pretext head of the one checkpoint. [in it, or beside it]")
    ] = None,
    allow_partial: Annotated[
        bool, typer.Option("--allow-partial", help="Take what fits of checkpoints, and fresh weights for the rest.")
    ] = False,
    seeds: Annotated[int | None, typer.Option(min=2, help="Seeds, the same on both sides. [as the space says]")] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Search BiSSL's configuration in so many trials. [it is held]")
    ] = None,
    from_sweep: Annotated[
        str | None,
        typer.Option("--from", help="Compare at this sweep's winner. [at the space's first known-good point]"),
    ] = None,
    space: Annotated[str | None, typer.Option(help="Search space: a file, or a shipped one's name.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Hold a setting at a value: alternations=100; again for several.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name; a comparison of that name is gone on with. [compare and the time]")
    ] = None,
    storage: Annotated[str, typer.Option(help="Folder or URI for the results.")] = "./runs",
    data_dir: Annotated[str | None, typer.Option(help="Folder that holds the datasets' files.")] = None,
    splits_dir: Annotated[str | None, typer.Option(help="Folder of published splits.")] = None,
    pretext_dataset: Annotated[
        str | None, typer.Option(help="Whose images the lower level sees, such as imagenet. [the dataset's own]")
    ] = None,
    pretext_data_dir: Annotated[str | None, typer.Option(help="Folder of the pretext's dataset. [--data-dir]")] = None,
    workers_per_trial: Annotated[
        int | None, typer.Option(help="Workers that share a trial; a GPU each where there are. [1]")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to join: auto or HOST:PORT. [RAY_ADDRESS, else one started here]")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, show the plan, start nothing.")] = False,
    format: Annotated[Format, typer.Option(help="How to write the result.")] = Format.table,
    plot: Annotated[Path | None, typer.Option(help="Draw it as well: FILE.svg, .png or .pdf.")] = None,
) -> None:
    """Compare BiSSL with plain fine-tuning from the same checkpoints, both tuned alike, over the same seeds."""
    from datetime import datetime

    from bissl_ray.compare.plan import plan_of
    from bissl_ray.compare.run import check_comparison, read_comparison, unfinished
    from bissl_ray.leaderboard.comparison.plot import check_plot
    from bissl_ray.store import check_writable
    from bissl_ray.store.paths import absolute_storage

    if plot is not None:
        check_plot(plot)
    asked = {
        "dataset": dataset,
        "pretrained": pretrained,
        "pretrain_epochs": pretrain_epochs,
        "pretrained_head": pretrained_head,
        "allow_partial": allow_partial or None,
        "seeds": seeds,
        "trials": trials,
        "from_sweep": from_sweep,
        "space": space,
        "set_": set_,
        "data_dir": data_dir,
        "splits_dir": splits_dir,
        "pretext_dataset": pretext_dataset,
        "pretext_data_dir": pretext_data_dir,
        "workers_per_trial": workers_per_trial,
    }
    place, chosen = absolute_storage(storage), name or f"compare-{datetime.now():%Y%m%d-%H%M%S}"
    comparison = _asked(chosen, place, read_comparison(place, chosen), asked)
    code = 0
    if left := unfinished(comparison, place):
        check_writable(place)
        read = check_comparison(comparison, place, address)
        if dry_run:
            for line in plan_of(comparison, left, read):
                typer.echo(line)
            return
        code = _run(comparison, place, storage, address, format)
        if code == _INTERRUPTED:
            raise typer.Exit(code)
    all_have_a_result = _show(comparison, place, format, plot)
    raise typer.Exit(code if all_have_a_result else 1)


def _asked(name: str, storage: str, known: "Comparison | None", asked: dict[str, Any]) -> "Comparison":
    """What was asked for: a comparison, or something of one that has begun."""
    from bissl_ray.compare.extend import gone_on, joined
    from bissl_ray.compare.starts import starts
    from bissl_ray.config.resolved import parse_assignments

    checkpoints = starts(asked["pretrained"] or [], asked["pretrain_epochs"], asked["pretrained_head"])
    given = {key: value for key, value in asked.items() if value is not None}
    if "set_" in given:
        given["settings"] = parse_assignments(given.pop("set_"))
    if known is None or any(key in given for key in ("dataset", "space", "from_sweep")):
        return joined(known, _prepare(name, storage, checkpoints, given))
    of_the_checkpoints = ("pretrained", "pretrain_epochs", "pretrained_head")
    return gone_on(known, checkpoints, {key: given[key] for key in given if key not in of_the_checkpoints})


def _prepare(name: str, storage: str, checkpoints: "list[Start]", given: dict[str, Any]) -> "Comparison":
    from bissl_ray.compare.extend import flag_of
    from bissl_ray.compare.prepare import comparison_of_winner, prepare_comparison
    from bissl_ray.errors import BadInputError

    if (sweep := given.get("from_sweep")) is not None:
        how = ("pretrained_head", "allow_partial") if "pretrained" in given else ()
        also = ("from_sweep", "pretrained", "pretrain_epochs", "seeds", *how)
        if others := [flag_of(key) for key in given if key not in also]:
            raise BadInputError(
                f"--from {sweep} brings that sweep's dataset and settings: leave out {', '.join(others)}"
            )
        plan = {key: given[key] for key in ("seeds", "allow_partial") if key in given}
        return comparison_of_winner(name, sweep, checkpoints, storage=storage, **plan)
    datasets = given.get("dataset", [])
    if len(set(datasets)) < len(datasets):
        raise BadInputError(f"--dataset {' --dataset '.join(datasets)}: each dataset once, please")
    of_the_data = ("data_dir", "splits_dir", "pretext_dataset", "pretext_data_dir")
    of_every_sweep = (*of_the_data, "allow_partial", "workers_per_trial")
    return prepare_comparison(
        name,
        datasets,
        checkpoints,
        space=given.get("space"),
        trials=given.get("trials"),
        seeds=given.get("seeds"),
        settings=given.get("settings"),
        **{key: given[key] for key in of_every_sweep if key in given},
    )


def _run(comparison: "Comparison", place: str, storage: str, address: str | None, format: Format) -> int:
    """Run what is left; the exit code: 1 something failed that a person must see to, 130 interrupted."""
    from bissl_ray.cli.live import storage_flag, terminal_view
    from bissl_ray.compare.run import run_comparison

    code = 0
    go_on = f"bissl-ray compare --name {comparison.name}{storage_flag(storage)}"
    try:
        for outcome in run_comparison(
            comparison, place, address, lambda case: terminal_view(case.sweep, stderr=format is not Format.table)
        ):
            if outcome.problem is not None:
                typer.echo(f"{outcome.name}: {outcome.problem}. Go on later with: {go_on}", err=True)
                code = 1
            elif not outcome.finished:
                typer.echo(f"Interrupted; everything reported is saved. Go on with:\n  {go_on}", err=True)
                return _INTERRUPTED
    except KeyboardInterrupt:
        typer.echo(f"Interrupted at once. Go on with:\n  {go_on}", err=True)
        return _INTERRUPTED
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
    if format is Format.table:
        from rich.console import Console

        console = Console()
        console.print(comparison_table(board, console))
    else:
        written = {Format.json: comparison_json, Format.csv: comparison_csv, Format.md: comparison_markdown}
        typer.echo(written[format](board))
    if plot is not None:
        write_plot(board, plot)
        typer.echo(f"Drawn: {plot}", err=True)
    return not any(case.without_result for case in board.cases)
