"""A stage's progress in the terminal, and what is said when it has ended."""

import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import typer

from bissl_ray.addresses import sayable, without_secrets
from bissl_ray.config.data_choice import USED
from bissl_ray.metrics import in_words, of_objective
from bissl_ray.progress import Alive, Decoding, Event, Note, Report, StageEnded, Step
from bissl_ray.words import ALIGNING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from bissl_ray.config.options import StageOptions
    from bissl_ray.config.requests import StageRequest
    from bissl_ray.config.resolved import ResolvedSettings
    from bissl_ray.stages.run import StageOutcome

_ROOM_FOR_A_BAR: Final = 60  # characters
_DECODING: Final = "decoding"
_TITLES: Final = {
    _DECODING: "decoding, once per machine",
    "pretrain": "pretraining",
    "head": "head warm-up",
    "bissl": "BiSSL",
    "joint": "training in BiSSL's place",
    "finetune": "fine-tuning",
}


class StageView:
    """A bar that moves in a terminal; elsewhere a plain line for each epoch or alternation that is reported."""

    def __init__(self, console: "Console", bars: "Progress | None"):
        self._console = console
        self._bars = bars
        self._bar: TaskID | None = None
        self._stage: str | None = None
        self._total = 0
        self._facts: dict[str, str] = {}
        self._waits_for: str | None = None

    def show(self, event: Event) -> None:
        """Move the bar, or print a line."""
        match event:
            case Note(line):
                self._print(line)
            case Alive(waits_for) if waits_for != self._waits_for:
                self._waits_for = waits_for
                self._print(f"it {waits_for}" if waits_for else "it goes on")
            case Decoding():
                if self._bars is None and self._stage != _DECODING:
                    self._print(event.words)
                self._enter(_DECODING)
                self._move(event.done, event.total, f"image {event.done:,} of {event.total:,}")
            case Step():
                self._step(event)
            case Report(row):
                self._report(row)
            case StageEnded(stage) if stage == self._stage:
                # The last step of a stage is not followed by a look at where it is.
                self._fill()

    def _step(self, step: Step) -> None:
        self._enter(step.stage)
        if step.loss is not None:
            self._facts["loss"] = f"loss {step.loss:.3g}"
        counted, total = -(-step.done // step.per_epoch), -(-step.total // step.per_epoch)
        self._move(step.done, step.total, f"{step.unit} {counted:,} of {total:,}")

    def _report(self, row: Mapping[str, Any]) -> None:
        from bissl_ray.leaderboard.numbers import duration

        self._enter(row["stage"])
        loss = row.get("train_loss", row.get("upper_loss"))
        if loss is not None:
            self._facts["loss"] = f"loss {loss:.3g}"
        if row.get("objective") is not None:
            self._facts["metric"] = in_words(row["objective_name"], row["objective"])
        if row.get("lower_knn") is not None:
            # Of the last alternation that was measured.
            metric, before = of_objective(row["objective_name"]), row["so_far"].get("lower_knn_before")
            self._facts["knn"] = f"kNN {metric.score(before)} to {metric.score(row['lower_knn'])}"
        if self._bars is None:
            at = "alternation" if row["stage"] in ALIGNING else "epoch"
            facts = ", ".join([f"{at} {row[at]}", *self._facts.values(), duration(row["seconds"])])
            self._print(f"{_TITLES[row['stage']]}: {facts}")

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _move(self, done: int, total: int, where: str) -> None:
        if self._bars is None or self._stage is None:
            return
        if self._bar is None:
            self._bar = self._bars.add_task(_TITLES.get(self._stage, self._stage), where="", facts="")
        self._total = total
        self._bars.update(self._bar, completed=done, total=total, where=where, facts="  ".join(self._facts.values()))

    def _fill(self) -> None:
        if self._bars is not None and self._bar is not None:
            task = self._bars.tasks[self._bars.task_ids.index(self._bar)]
            unit, _, _, total = str(task.fields["where"]).split(" ")
            self._move(self._total, self._total, f"{unit} {total} of {total}")

    def _enter(self, stage: str) -> None:
        if stage != self._stage:
            self._fill()
            self._stage, self._bar = stage, None
            self._facts.clear()


@contextmanager
def stage_view(to_stderr: bool = False) -> Iterator[StageView]:
    """A view for the duration of a `with` block; on standard error where standard output is for a program."""
    from rich.progress import BarColumn, Progress, TimeRemainingColumn

    from bissl_ray.cli.terminal import Terminal

    console = Terminal(stderr=to_stderr)
    if not console.is_interactive:
        yield StageView(console, None)
        return
    words = ("{task.description}", "{task.fields[where]}", "{task.fields[facts]}")
    columns = (words[0], BarColumn(None), *words[1:], TimeRemainingColumn(compact=True))
    narrow = console.width < _ROOM_FOR_A_BAR
    with Progress(*(words if narrow else columns), console=console, expand=not narrow) as bars:
        yield StageView(console, bars)


def run_to_end(
    asked: "StageOptions",
    request: "StageRequest",
    resolved: "ResolvedSettings",
    said: Sequence[str] = (),
    to_stderr: bool = False,
) -> "StageOutcome":
    """Run what `prepare_stage` made of the options, with its progress on the terminal, or on standard error.

    Lines on what is said once, not by a flag, come first.

    Raises:
        typer.Exit: after a dry run, or with code 130 after an interruption; how to go on has been printed.
        BadInputError, RunFailedError: as `run_stage`.
    """
    from bissl_ray.stages.run import run_stage

    if asked.dry_run:
        _show_settings(asked, request, resolved, said)
        raise typer.Exit
    try:
        with stage_view(to_stderr) as view:
            for line in said:
                view.show(Note(line))
            outcome = run_stage(request, asked.storage, asked.address, view)
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
    arguments = [without_secrets(word) for word in sys.argv[1:]]
    named = any(word == "--name" or word.startswith("--name=") for word in arguments)
    return shlex.join(["bissl-ray", *arguments, *([] if named else ["--name", request.name])])


def conclude(outcome: "StageOutcome", asked: "StageOptions", following: str) -> None:
    """Say what a finished stage that writes a checkpoint came to, and that the verb `following` may come next."""
    from bissl_ray.leaderboard.numbers import duration

    result, request = outcome.result, outcome.request
    said = []
    if result.get("objective") is not None:
        said.append(f"{in_words(result['objective_name'], result['objective'])} on validation")
    elif result.get("train_loss") is not None:
        said.append(f"pretext loss {result['train_loss']:.3g}")
    if "seconds" in result:
        said.append(duration(result["seconds"]))
    checkpoint = result.get("checkpoint")
    file = f"{asked.storage.rstrip('/').removeprefix('./')}/{checkpoint or f'stages/{request.name}/stage.json'}"
    typer.echo(f"{request.stage} on {request.dataset}: {', '.join(said)}; {file}")
    if "again" in result:
        typer.echo(result["again"]["words"])
    if checkpoint is not None:
        following = "evaluate" if checkpoint.endswith("/finetuned.pt") else following
        arguments = [following, *_carried_on(asked, request, following), "--start", file]
        typer.echo(f"Next: {shlex.join(['bissl-ray', *arguments])}")


def _carried_on(asked: "StageOptions", request: "StageRequest", verb: str) -> list[str]:
    """What the next verb needs of what was typed; an evaluation asks its checkpoint for the settings."""
    own = {"--data-dir": asked.data_dir, "--splits-dir": asked.splits_dir}
    own |= {} if asked.storage == "./runs" else {"--storage": asked.storage}
    own |= {f"--{name.replace('_', '-')}": str(getattr(asked, name)) for name in USED if getattr(asked, name)}
    assignments: Sequence[str] = ()
    if verb != "evaluate":
        point = None if asked.point is None else str(asked.point)
        own = {"--dataset": request.dataset, **own, "--space": asked.space, "--point": point}
        own["--from-trial"] = asked.from_trial
        assignments = asked.assignments or ()
    given = [word for flag, value in own.items() if value is not None for word in (flag, value)]
    return [*given, *(word for assignment in assignments for word in ("--set", assignment))]


def _show_settings(
    asked: "StageOptions", request: "StageRequest", resolved: "ResolvedSettings", said: Sequence[str]
) -> None:
    """Print what a stage would do; what was given is checked, what was not is not missed."""
    from bissl_ray.config.describe import settings_to_yaml
    from bissl_ray.stages.run import rehearse_stage

    # First: where something is refused, they say where it came from.
    for line in said:
        typer.echo(f"# {sayable(line)}")
    lines = rehearse_stage(request, asked.storage, asked.address)
    typer.echo(settings_to_yaml(resolved, request.dataset, request.data.split_seed), nl=False)
    for line in ("default: the paper's, where it names one", *lines):
        typer.echo(f"# {sayable(line)}")
    typer.echo(f"# nothing was started; leave --dry-run out to {request.stage}")
