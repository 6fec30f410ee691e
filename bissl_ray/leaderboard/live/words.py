"""Where a sweep stands, in the words of a picture and of a line."""

from bissl_ray.leaderboard.numbers import duration
from bissl_ray.metrics import Metric, of_objective
from bissl_ray.progress import Spent, SweepProgress


def facts(progress: SweepProgress, since: float = 0.0) -> list[str]:
    """What a sweep runs on, and what of it is used: only what there is to say.

    Args:
        progress: where it stood.
        since: seconds ago.
    """
    where = " on ".join(filter(None, (progress.dataset, progress.where)))
    found = [where] if where else []
    if progress.slots is not None:
        busy = progress.running + sum(progress.beside.values())
        found.append(f"{busy} of {max(progress.slots + sum(progress.beside.values()), busy)} groups busy")
    if progress.budget is not None:
        found.append(budget(progress.budget, since))
    return found


def budget(spent: Spent, since: float = 0.0) -> str:
    """How much of a budget is used, and how much is left; of one in time, by now."""
    if spent.of == "gpu":
        used, limit = (seconds / 3600 for seconds in (spent.used, spent.limit))
        return f"budget: {used:.1f} of {limit:g} GPU hours, {max(limit - used, 0.0):.1f} left"
    used = min(spent.used + since, spent.limit)
    if used >= spent.limit:
        return f"budget: all of {duration(spent.limit)} used"
    return f"budget: {duration(used)} of {duration(spent.limit)}, {duration(spent.limit - used)} left"


def counts(progress: SweepProgress, since: float = 0.0) -> list[str]:
    """Say what runs and what went wrong, and the time: only what there is to say."""
    found = [f"{progress.running} running", *(f"{count} of {name}" for name, count in progress.beside.items())]
    found += [f"{progress.paused} paused"] if progress.paused else []
    found += [f"{progress.pruned} pruned"] if progress.pruned else []
    found += [f"{progress.failed} failed"] if progress.failed else []
    found += [f"{duration(progress.elapsed + since)} elapsed"]
    if progress.left is None:
        return found
    return [*found, f"about {duration(max(progress.left - since, 0.0))} left"]


def metric_of(progress: SweepProgress) -> Metric:
    """The metric that its trials are compared by."""
    return of_objective(progress.objective_name)


def phase(progress: SweepProgress) -> str:
    """What it is at; of several sweeps, which."""
    return progress.phase if progress.sweep is None else f"{progress.sweep}: {progress.phase}"


def line(progress: SweepProgress) -> str:
    """Where it stands, in a line."""
    parts = [f"{phase(progress)}: {progress.done} of {progress.total} done", *counts(progress)]
    if progress.best is not None:
        parts.append(f"best {metric_of(progress).score(progress.best[1])} ({progress.best[0]})")
    if progress.doing is not None:
        parts.append(progress.doing)
    if progress.trouble is not None:
        parts.append(progress.trouble)
    return ", ".join(parts)
