"""`bissl-ray doctor`: whether the machines can run a sweep, and whether what a storage holds is as it was written."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from bissl_ray.cli.doctor_view import markdown, show_check, show_checkup, summary_of
from bissl_ray.cli.filling import Filler
from bissl_ray.cli.flags import takes
from bissl_ray.cli.leaderboard import Format
from bissl_ray.cli.streams import print_csv, print_json
from bissl_ray.config.data_choice import USED
from bissl_ray.config.options import DoctorOptions

if TYPE_CHECKING:
    from rich.console import Console

    from bissl_ray.preflight.doctor.findings import Checkup
    from bissl_ray.preflight.machines.checks import Check


class Part(StrEnum):
    """What may be looked at by itself."""

    MACHINES = "machines"
    FILES = "files"


@takes(DoctorOptions, leave_out={*USED})
def doctor(
    asked: DoctorOptions,
    filler: Filler,
    only: Annotated[
        Part | None, typer.Option(help="Look at the machines alone, or at the files of --storage alone. [both]")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Start no worker, measure no connection, open no checkpoint.")
    ] = False,
    clean: Annotated[
        bool, typer.Option("--clean", help="Remove what was left over, of sweeps and stages that nobody runs.")
    ] = False,
    format: Annotated[Format, typer.Option("--format", "-f", help="How to write it.")] = "table",
) -> None:
    """Check the machines that a sweep would run on, and all that a storage holds.

    Exit code 1: something can't work, or is damaged; what to do about it, and what can be saved, is said.
    """
    from bissl_ray.cli.terminal import Terminal
    from bissl_ray.leaderboard.render import as_csv, dumped
    from bissl_ray.store.filesystem import is_there
    from bissl_ray.store.paths import absolute_storage

    console, shown = Terminal(), format == "table"
    storage = absolute_storage(asked.storage)
    had_files = only == Part.FILES or is_there(storage)
    found = [] if only == Part.FILES else _machines(asked, filler, quick, console if shown else None)
    if shown and found:
        console.print(f"\n{summary_of(found)}", highlight=False)
    checkup = None
    if only != Part.MACHINES and had_files:
        checkup = _files(storage, clean, quick)
        if shown:
            if found:
                console.print()
            show_checkup(console, checkup)
    elif shown and only != Part.MACHINES:
        console.print(f"There is no storage {asked.storage} yet.", highlight=False)
    rows = [asdict(finding) for finding in checkup.findings] if checkup is not None else []
    checks = [asdict(check) for check in found]
    if format == "json":
        of_files = {} if checkup is None else {"checked": checkup.checked, "findings": rows}
        print_json(dumped({"storage": asked.storage, "machines": checks, **of_files}))
    elif format == "csv":
        both = [{"state": check["verdict"], "what": "machines", "place": check["name"], **check} for check in checks]
        print_csv(as_csv([*both, *rows]))
    elif format == "md":
        typer.echo(markdown(found, checkup))
    if any(check["verdict"] == "failure" for check in checks) or (checkup is not None and checkup.damaged):
        raise typer.Exit(1)


def _machines(asked: DoctorOptions, filler: Filler, quick: bool, console: "Console | None") -> "list[Check]":
    """The checks, each shown as it comes."""
    from bissl_ray.cli.terminal import Terminal
    from bissl_ray.config import load_search_space
    from bissl_ray.data import get_dataset
    from bissl_ray.preflight.machines.checkup import check_machines
    from bissl_ray.preflight.machines.trial import Subject
    from bissl_ray.preflight.requests import check_worker_count, data_choice
    from bissl_ray.store.paths import absolute_storage

    check_worker_count("--workers-per-trial", asked.workers_per_trial)
    chosen = filler.find("dataset") if asked.dataset is None and "space" not in filler.given else None
    named = asked.dataset or (str(chosen.value) if chosen is not None else None)
    if named is not None:
        get_dataset(named)
    space = load_search_space(asked.space or named or "digits")
    dataset = named or space.dataset
    asked, _ = filler.filled(replace(asked, dataset=dataset), dataset)
    data = data_choice(asked, dataset, space.protocol.seed)
    subject = Subject(absolute_storage(asked.storage), space, data, asked.workers_per_trial)
    found = []
    waits = Terminal(stderr=True)
    with waits.status("looking at the machines") if waits.is_interactive else _nothing() as status:
        for check in check_machines(subject, asked.address, quick):
            found.append(check)
            if console is not None:
                show_check(console, check)
            if status is not None:
                status.update(f"looking at the machines: {check.name} done")
    return found


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _files(storage: str, clean: bool, quick: bool) -> "Checkup":
    from bissl_ray.preflight.doctor.check import check_storage

    with _progress() as opened:
        return check_storage(storage, clean, quick, opened)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar for the checkpoints, on standard error, where that is a screen."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from bissl_ray.cli.terminal import Terminal

    console = Terminal(stderr=True)
    if not console.is_interactive:  # an older rich ends its line all the same
        yield lambda *_: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("opening checkpoints", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
