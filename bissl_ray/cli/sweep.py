"""`bissl-ray sweep` and `bissl-ray resume`: the main job, and going on with it."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

import typer

from bissl_ray.cli import completion
from bissl_ray.cli.filling import OF_CHECKPOINT, OF_DATA, Filler
from bissl_ray.cli.filling_data import staying
from bissl_ray.cli.flags import takes
from bissl_ray.cli.leaderboard import damage, show_board, whole
from bissl_ray.cli.sweep_plan import show_plan
from bissl_ray.config.data_choice import USED
from bissl_ray.config.options import BoardOptions, ResumeOptions, SweepOptions, named_once
from bissl_ray.config.said_once import Said
from bissl_ray.errors import BadInputError
from bissl_ray.progress import Note

if TYPE_CHECKING:
    from bissl_ray.leaderboard import LiveBoard
    from bissl_ray.search.history import SweepOutcome

INTERRUPTED: Final = 130
"""The exit code of a run that a person has stopped."""


@takes(SweepOptions)
def sweep(
    asked: SweepOptions,
    filler: Filler,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, show the plan and what it will take, start nothing.")
    ] = False,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="With --dry-run: time a few steps here, where no sweep tells.")
    ] = False,
) -> None:
    """Search BiSSL's hyperparameters, confirm the best over seeds, and compare with plain fine-tuning."""
    chosen = filler.find("dataset") if "space" not in filler.given else None
    by_default = chosen.value if chosen is not None else None
    names: list[str | None] = [*named_once("--dataset", asked.datasets or [])] or [by_default]
    if len(names) > 1 and asked.name is not None:
        raise BadInputError(f"--name {asked.name} names one sweep, and there are {len(names)} datasets: leave it out")
    if calibrate and not dry_run:
        raise BadInputError("--calibrate tells what a sweep will take before it starts: give --dry-run as well")
    every = []
    for name in names:
        each = replace(asked, datasets=None, dataset=name, splits_optional=len(names) > 1)
        each, said = _filled(each, filler)
        every.append((each, [line.line for line in (*([chosen] if chosen else []), *said)]))
    if not dry_run:
        raise typer.Exit(_run_all(every))
    for each, lines in every:
        show_plan(each, lines, calibrate)


@takes(ResumeOptions, leave_out={"pretext_dataset", *USED})
def resume(
    asked: ResumeOptions,
    filler: Filler,
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...",
            help="The sweep's name; of several, which run together, each.",
            autocompletion=completion.sweeps,
        ),
    ],
) -> None:
    """Go on with a sweep where it was interrupted, or extend a finished one; folders: where its data are now."""
    from bissl_ray.sweep.run import go_on

    every, lines = [], []
    for name in named_once("resume", names, "sweep"):
        each, said = filled_for_resume(asked, filler, name)
        every.append((name, each))
        lines += said
    raise typer.Exit(_to_their_end("resume", names, asked.storage, lines, lambda view: go_on(every, view)))


def terminal_view(title: str, *, stderr: bool = False, leave: Callable[[], None] | None = None) -> "LiveBoard":
    """A view for the duration of a `with` block.

    Args:
        title: of it.
        stderr: whether it is drawn on standard error: the output is for another program.
        leave: ends the view of a sweep that another process runs; None: it runs here.
    """
    from bissl_ray.cli.terminal import Terminal
    from bissl_ray.leaderboard import LiveBoard

    return LiveBoard(Terminal(stderr=stderr), title, leave)


def storage_flag(storage: str) -> str:
    """The --storage of a command to be pasted; nothing for the default."""
    return "" if storage == "./runs" else f" --storage {shlex.quote(storage)}"


def say_of_winner(storage: str, sweep: str) -> None:
    """Print what the figures of a sweep's winner suggest, where anything stands out."""
    from bissl_ray.cli.terminal import Terminal
    from bissl_ray.leaderboard import of_winner

    with damage():  # which the board has named
        found = of_winner(storage, sweep)
    if found is not None:
        name, said = found
        console = Terminal()
        for line in (f"What the figures of {name} suggest ({sweep}):", *(f"- {sentence}" for sentence in said)):
            console.print(line, markup=False, highlight=False)


def _filled(asked: SweepOptions, filler: Filler) -> tuple[SweepOptions, list[Said]]:
    """The options with what is said once of the dataset, which is the space's where no flag names one."""
    if not filler.said:
        return asked, []
    dataset = asked.dataset
    if dataset is None:
        from bissl_ray.config import load_search_space

        space = filler.find("space")
        dataset = load_search_space(str(asked.space or (space and space.value) or "digits")).dataset
    # Who asks for pretraining here wants no other checkpoint.
    return filler.filled(asked, dataset, OF_CHECKPOINT if "pretrain" in filler.given else ())


def filled_for_resume(asked: ResumeOptions, filler: Filler, name: str) -> tuple[ResumeOptions, list[str]]:
    """The options with what is said once; the data stay where they were when the sweep began, unless a flag moves them.

    Returns:
        The options; lines on what was filled in, and on folders that are said otherwise now.
    """
    if not filler.said:
        return asked, []
    from bissl_ray.store.documents import read_sweep_document
    from bissl_ray.store.paths import absolute_storage

    data = read_sweep_document(absolute_storage(asked.storage), name).request.data
    filled, used = filler.filled(asked, data.dataset, OF_DATA)
    return filled, [*(said.line for said in used), *staying(data, filler.find, "sweep")]


def _run_all(every: Sequence[tuple[SweepOptions, Sequence[str]]]) -> int:
    """Run a sweep, or several together; the exit code, of several the largest."""
    from bissl_ray.sweep.run import begin_sweeps, prepare_request

    begun = [(prepare_request(asked), asked) for asked, _ in every]
    names = [request.name for request, _ in begun]
    lines = [line for _, said in every for line in said]
    return _to_their_end("sweep", names, every[0][0].storage, lines, lambda view: begin_sweeps(begun, view))


def _show_all(names: Sequence[str], storage: str) -> None:
    """The outcome of several sweeps, a line each."""
    from bissl_ray.cli.terminal import Terminal
    from bissl_ray.leaderboard import outcomes

    with damage():  # which the boards have named
        lines = outcomes(storage, names)
    Terminal().print(lines)


def _to_their_end(
    verb: str,
    names: Sequence[str],
    storage: str,
    said: Sequence[str],
    run: Callable[["LiveBoard"], "list[SweepOutcome]"],
) -> int:
    """Run sweeps, or go on with them, on the terminal; the exit code, of several the largest."""
    several = len(names) > 1
    try:
        with terminal_view(f"bissl-ray {verb}" if several else f"bissl-ray {verb} {names[0]}") as view:
            for line in said:
                view.show(Note(line))
            outcomes = run(view)
    except KeyboardInterrupt:
        typer.echo("Interrupted at once. If the sweep had begun, go on with:", err=True)
        typer.echo(f"  bissl-ray resume {' '.join(names)}{storage_flag(storage)}", err=True)
        return INTERRUPTED
    code = max(conclude(outcome, storage) for outcome in outcomes)
    left = [outcome for outcome in outcomes if not outcome.finished]
    for problem in dict.fromkeys(outcome.problem for outcome in left):
        together = " ".join(outcome.name for outcome in left if outcome.problem == problem)
        typer.echo(
            f"Stopped: {problem}. Everything reported is saved; mend that, then go on with:"
            if problem
            else "Interrupted; everything reported is saved. Go on with:"
        )
        typer.echo(f"  bissl-ray resume {together}{storage_flag(storage)}")
    if several and not left:
        _show_all(names, storage)
    return code


def conclude(outcome: "SweepOutcome", storage: str) -> int:
    """Print the board of a sweep that has ended.

    Returns:
        The exit code: 0 done, 1 something failed or is damaged that a person must see to, 130 interrupted.
    """
    place = storage_flag(storage)
    if not outcome.finished:
        return 1 if outcome.problem else INTERRUPTED
    notes = show_board(BoardOptions(storage=outcome.storage, sweep=outcome.name, top=10))
    say_of_winner(outcome.storage, outcome.name)
    typer.echo(f"More: bissl-ray leaderboard{place}, bissl-ray show TRIAL{place}")
    if outcome.problem:
        typer.echo(f"bissl-ray: {outcome.problem}", err=True)
        return 1
    if outcome.completed:
        return 0 if whole(notes) else 1
    typer.echo(f"No trial ran to its end; the board says why. Look at one with: bissl-ray show t000{place}", err=True)
    return 1
