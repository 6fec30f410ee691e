"""What `bissl-ray sweep --dry-run` says: the space, the data, what will run, and what it will take."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import typer

from bissl_ray.config.options import SweepOptions

if TYPE_CHECKING:
    from bissl_ray.sweep.run import Rehearsed


def show_plan(asked: SweepOptions, said: Sequence[str], calibrate: bool) -> None:
    """Print the space, the data, what will run and what that will take.

    Args:
        asked: of a sweep.
        said: lines on what was filled in.
        calibrate: whether to time a few steps for it.
    """
    from bissl_ray.config import to_yaml
    from bissl_ray.preflight.data import unopened
    from bissl_ray.sweep.run import prepare_request, rehearse_sweep

    # First: where something is refused, they say where it came from.
    for line in said:
        typer.echo(f"# {line}")
    request = prepare_request(asked)
    rehearsed = rehearse_sweep(request, asked)
    plan = request.space.protocol
    finalists = min(plan.finalists, plan.trials)
    confirmed = finalists * plan.seeds
    further = "" if plan.most_seeds is None else f", up to {plan.most_seeds} where they are close"
    typer.echo(to_yaml(request.space))
    typer.echo(f"# data: {rehearsed.facts.in_words}")
    typer.echo(
        f"# plan: {plan.trials} explore trials; then {plan.tuning_runs} fine-tuning runs and {confirmed} confirmation "
        f"runs (up to {finalists} configurations, {plan.seeds} seeds{further}) for BiSSL, and as many for the control; "
        "then one look at the test split"
    )
    for note in (*_expected(rehearsed, asked.storage, calibrate), *rehearsed.document.read, *unopened(request.data)):
        typer.echo(f"# {note}")
    typer.echo("# nothing was started; leave --dry-run out to start")


def _expected(rehearsed: "Rehearsed", storage: str, calibrate: bool) -> Iterator[str]:
    """What a sweep will take, in lines."""
    from bissl_ray.leaderboard.numbers import count, duration
    from bissl_ray.store.paths import absolute_storage
    from bissl_ray.sweep.expected import expected, timed_here

    found, pace = expected(rehearsed, absolute_storage(storage), timed_here(rehearsed) if calibrate else None)
    place = rehearsed.place

    def range_of(likely: float, most: float, written: Callable[[float], str]) -> str:
        if written(likely) == written(most):
            return f"about {written(likely)}"
        return f"about {written(likely)} ({written(most)} if no trial is stopped early)"

    gradients = range_of(found.gradients, found.most_gradients, lambda number: count(round(number)))
    yield f"cost: {gradients} gradients, one for each image or view"
    if found.seconds is None or found.most_seconds is None or pace is None:
        yield f"time: not known, as nothing like it has run in {storage}; --calibrate times a few steps here to tell"
        return
    yield (
        f"time: {range_of(found.seconds, found.most_seconds, duration)}, {place.slots} at a time, {pace.source}"
        f"{'; pretraining comes before' if rehearsed.document.pretrain else ''}"
    )
    if place.gpus:
        hours = (f"{seconds * place.gpus / 3600:.2f}" for seconds in (found.seconds, found.most_seconds))
        yield f"GPU hours: about {' to '.join(hours)}"
