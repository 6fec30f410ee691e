"""What is said when a stage that writes a checkpoint has ended."""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from bissl_ray.cli.stage_view import metric_words

if TYPE_CHECKING:
    from bissl_ray.stages.outcome import StageOutcome
    from bissl_ray.stages.prepare import StageFlags
    from bissl_ray.stages.request import StageRequest


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
