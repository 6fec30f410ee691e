"""What `bissl-ray sweep --dry-run` says: the space, the data, what will run, and what it will take."""

from collections.abc import Sequence

import typer

from bissl_ray.addresses import sayable
from bissl_ray.config.options import SweepOptions


def show_plan(asked: SweepOptions, said: Sequence[str], calibrate: bool) -> None:
    """Print the space, the data, what will run and what that will take.

    Args:
        asked: of a sweep.
        said: lines on what was filled in.
        calibrate: whether to time a few steps for it.
    """
    from bissl_ray.config import to_yaml
    from bissl_ray.preflight.data import unopened
    from bissl_ray.sweep.expected import cost_lines, timed_here
    from bissl_ray.sweep.run import prepare_request, rehearse_sweep

    # First: where something is refused, they say where it came from.
    for line in said:
        typer.echo(f"# {sayable(line)}")
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
    pace = timed_here(rehearsed) if calibrate else None
    cost = cost_lines(rehearsed, asked.storage, pace, "; --calibrate times a few steps here to tell")
    for note in (*cost, *rehearsed.document.read, *unopened(request.data)):
        typer.echo(f"# {sayable(note)}")
    typer.echo("# nothing was started; leave --dry-run out to start")
