"""A stage's progress in the terminal, and what is said when it has ended."""

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import typer

from bissl_ray.cli.stage_flags import show_settings
from bissl_ray.data.cache.news import decoding_words
from bissl_ray.data.spec import METRIC_TITLES

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from bissl_ray.config.resolved import ResolvedSettings
    from bissl_ray.stages.outcome import StageOutcome
    from bissl_ray.stages.prepare import StageFlags
    from bissl_ray.stages.request import StageRequest
    from bissl_ray.training.watch import Advance

if TYPE_CHECKING:
    from bissl_ray.stages.outcome import StageOutcome
    from bissl_ray.stages.prepare import StageFlags
    from bissl_ray.stages.request import StageRequest


_TITLES: Final = {
    "decoding": "decoding, once per machine",
    "pretrain": "pretraining",
    "head": "head warm-up",
    "bissl": "BiSSL",
    "finetune": "fine-tuning",
}


class StageView:
    """A bar that moves in a terminal; elsewhere a plain line for each epoch or alternation that is reported."""

    def __init__(self, console: "Console", bars: "Progress | None"):
        self._console = console
        self._bars = bars
        self._bar: TaskID | None = None
        self._last: Advance | None = None
        self._stage: str | None = None
        self._facts: dict[str, str] = {}

    def advanced(self, advance: "Advance") -> None:
        """Move the bar."""
        if advance.unit == "image" and self._bars is None and advance.stage != self._stage:
            self.note(decoding_words(advance.done, advance.total))
        self._enter(advance.stage)
        if advance.loss is not None:
            self._facts["loss"] = f"loss {advance.loss:.3g}"
        self._last = advance
        self._show(advance.done, advance)

    def reported(self, row: dict[str, Any]) -> None:
        """Show what was measured."""
        from bissl_ray.leaderboard.numbers import duration, percent

        self._enter(row["stage"])
        loss = row.get("train_loss", row.get("upper_loss"))
        if loss is not None:
            self._facts["loss"] = f"loss {loss:.3g}"
        if row.get("objective") is not None:
            self._facts["metric"] = f"{metric_words(row['objective_name'])} {percent(row['objective'])}%"
        if self._bars is None:
            at = "alternation" if row["stage"] == "bissl" else "epoch"
            facts = ", ".join([f"{at} {row[at]}", *self._facts.values(), duration(row["seconds"])])
            self.note(f"{_TITLES[row['stage']]}: {facts}")

    def note(self, line: str) -> None:
        """Print a line that stays."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def ended(self) -> None:
        """Fill the last bar: the last step of a stage is not followed by a look at where it is."""
        if self._last is not None:
            self._show(self._last.total, self._last)

    def _show(self, done: int, advance: "Advance") -> None:
        if self._bars is None:
            return
        if self._bar is None:
            self._bar = self._bars.add_task(_TITLES.get(advance.stage, advance.stage), where="", facts="")
        counted, total = -(-done // advance.per_epoch), -(-advance.total // advance.per_epoch)
        where = f"{advance.unit} {counted:,} of {total:,}"
        facts = "  ".join(self._facts.values())
        self._bars.update(self._bar, completed=done, total=advance.total, where=where, facts=facts)

    def _enter(self, stage: str) -> None:
        if stage != self._stage:
            self.ended()
            self._stage, self._bar, self._last = stage, None, None
            self._facts.clear()


@contextmanager
def stage_view(to_stderr: bool = False) -> Iterator[StageView]:
    """A view for the duration of a `with` block; on standard error where standard output is for a program."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TimeRemainingColumn

    console = Console(stderr=to_stderr)
    if not console.is_terminal:
        yield StageView(console, None)
        return
    columns = ("{task.description}", BarColumn(None), "{task.fields[where]}", "{task.fields[facts]}")
    with Progress(*columns, TimeRemainingColumn(compact=True), console=console, expand=True) as bars:
        yield StageView(console, bars)


def run_to_end(
    flags: "StageFlags", request: "StageRequest", resolved: "ResolvedSettings", to_stderr: bool = False
) -> "StageOutcome":
    """Run a stage with its progress on the terminal.

    Args:
        flags: as typed.
        request: what `prepare_stage` made of them.
        resolved: its settings.
        to_stderr: whether standard output is for a program.

    Raises:
        typer.Exit: after a dry run, or with code 130 after an interruption; how to go on has been printed.
        BadInputError, RunFailedError: as `run_stage`.
    """
    from bissl_ray.stages.run import run_stage

    if flags.dry_run:
        show_settings(request, resolved)
        raise typer.Exit
    try:
        with stage_view(to_stderr) as view:
            outcome = run_stage(request, flags.storage, flags.address, view)
            if outcome.finished:
                view.ended()
    except KeyboardInterrupt:
        typer.echo(f"Interrupted at once. What was saved before is kept; go on with:\n  {_again(request)}", err=True)
        raise typer.Exit(130) from None
    if not outcome.finished:
        typer.echo(f"{interrupted(outcome)} with:\n  {_again(request)}", err=to_stderr)
        raise typer.Exit(130)
    if outcome.before:
        said = f"{request.name} has finished already; nothing was run. To run it anew, choose another --name."
        typer.echo(said, err=to_stderr)
    return outcome


def interrupted(outcome: "StageOutcome") -> str:
    """What is kept of a stage that was interrupted, and what to do next."""
    if outcome.request.stage == "evaluate":
        return "Interrupted; nothing of an evaluation is saved before its end. Begin it again"
    if outcome.saved:
        return "Interrupted; where it was is saved. Go on"
    return "Interrupted; the workers did not answer in time. What was saved before is kept. Go on"


def _again(request: "StageRequest") -> str:
    arguments = sys.argv[1:]
    named = any(word == "--name" or word.startswith("--name=") for word in arguments)
    return shlex.join(["bissl-ray", *arguments, *([] if named else ["--name", request.name])])


def metric_words(objective_name: str) -> str:
    """What a validation metric is called in print."""
    metric = objective_name.removeprefix("validation_")
    return METRIC_TITLES.get(metric, metric)


def conclude(outcome: "StageOutcome", flags: "StageFlags", following: str) -> None:
    """Say what a stage that writes a checkpoint came to, and what may come next.

    Args:
        outcome: of a finished stage.
        flags: as typed.
        following: the next verb.
    """
    from bissl_ray.leaderboard.numbers import duration, percent

    result, request = outcome.result, outcome.request
    said = []
    if result.get("objective") is not None:
        said.append(f"{metric_words(result['objective_name'])} {percent(result['objective'])}% on validation")
    elif result.get("train_loss") is not None:
        said.append(f"pretext loss {result['train_loss']:.3g}")
    said.append(duration(result["seconds"]))
    file = f"{flags.storage.rstrip('/').removeprefix('./')}/{result['checkpoint']}"
    typer.echo(f"{request.stage} on {request.dataset}: {', '.join(said)}; {file}")
    arguments = [following, *_carried_on(flags, request, following), "--start", file]
    typer.echo(f"Next: {shlex.join(['bissl-ray', *arguments])}")


def _carried_on(flags: "StageFlags", request: "StageRequest", verb: str) -> list[str]:
    """What the next verb needs of what was typed; an evaluation asks its checkpoint for the settings."""
    own = {"--data-dir": flags.data_dir, "--splits-dir": flags.splits_dir}
    own |= {} if flags.storage == "./runs" else {"--storage": flags.storage}
    assignments: Sequence[str] = ()
    if verb != "evaluate":
        point = None if flags.point is None else str(flags.point)
        own = {"--dataset": request.dataset, **own, "--space": flags.space, "--point": point}
        own["--from-trial"] = flags.from_trial
        assignments = flags.assignments or ()
    given = [word for flag, value in own.items() if value is not None for word in (flag, value)]
    return [*given, *(word for assignment in assignments for word in ("--set", assignment))]
