"""Ranks the configurations of each dataset: one row of the board for each."""

from collections.abc import Iterable
from statistics import fmean
from typing import Final

from bissl_ray.leaderboard.configurations import Configuration, best_bissl, best_control, finite, gather
from bissl_ray.leaderboard.marks import acts_as_identity, largest_change, unsolved
from bissl_ray.statistics import estimate, paired_gain, values_to_separate, with_ends
from bissl_ray.store.schema import ALIGNMENT_COLUMNS, Row
from bissl_ray.winner import place
from bissl_ray.words import PARAMETER_PREFIX, Kind, Standing, Status, Step

BOARD_COLUMNS: Final = (
    *("rank", "dataset", "sweep", "trial", "kind", "control", "standing"),
    *("objective", "objective_low", "objective_high", "objective_name", "seeds"),
    *(
        "gain",
        "gain_low",
        "gain_high",
        "tied",
        "seeds_to_tell",
        "gain_seeds",
        "test_metric",
        "test_metric_low",
        "test_metric_high",
    ),
    *("explore_objective", "implicit_change", "acts_as_identity", "on_front", "unsolved", "moved"),
    *("total_seconds", "total_gpu_seconds"),
)
"""What a row of the board holds beside the columns of its trial and its settings."""

FROM_TRIAL: Final = (
    "phase",
    "status",
    "status_reason",
    "origin",
    "labels_per_class",
    "label_draw",
    "alternations",
    "hvps",
    "cg_residual",
    "negative_curvature",
    "embedding_std",
    "embedding_rank",
    *ALIGNMENT_COLUMNS,
    "seconds",
    "gpu_seconds",
    "peak_memory",
    "workers",
    "attempts",
    "checkpoint",
    "started_at",
    "ended_at",
    "git",
    "versions",
)


def rank(trials: Iterable[Row]) -> list[Row]:
    """Rank every configuration, dataset by dataset.

    They stand as `winner.place` says. The control of a sweep, its best fine-tuning point, has its place among them
    but takes no rank: rank 1 is always the best BiSSL trial.

    Args:
        trials: rows as `to_rows(read_trials(...))` gives them.

    Returns:
        Rows with the same keys each: rank (None for the control and for trials without a score), dataset,
        sweep, trial, kind, control (what BiSSL is compared with), standing, objective (the one it is ranked
        by) with the ends of its 95% interval, seeds, the paired gain over the control likewise, whether its seeds
        don't tell it from the best of its sweep (None for that one, the control and what is not confirmed) and how
        many would, the test metric likewise, explore_objective, the trial's own columns, implicit_change (the largest
        of all its runs) and whether it acts as identity by that, whether its solves were in vain (both None for the
        control and while it runs), moved (the mean over the runs that confirm it, else its own), the total cost of
        all its runs in seconds, and every param_ column.
    """
    configurations = gather(trials)
    controls = {sweep: best_control(configurations, sweep) for sweep in {c.sweep for c in configurations}}
    shown = [c for c in configurations if c.kind == Kind.BISSL or c is controls[c.sweep]]
    shown.sort(key=lambda c: (c.sweep[0], *place(c.contender)))
    rows = []
    ranks: dict[str, int] = {}
    for configuration in shown:
        row = row_of(configuration, controls[configuration.sweep], configurations)
        if configuration.kind == Kind.BISSL and row["objective"] is not None:
            ranks[row["dataset"]] = row["rank"] = ranks.get(row["dataset"], 0) + 1
        rows.append(row)
    return rows


def row_of(configuration: Configuration, control: Configuration | None, everyone: Iterable[Configuration]) -> Row:
    """What the board says of a configuration, but for its rank and whether it is on the front; as of `rank`.

    Args:
        configuration: with all its runs.
        control: of its sweep; None: there is none yet.
        everyone: at least its sweep's best, and all of its control.
    """
    dataset, sweep = configuration.sweep
    head, confirmed = configuration.head, configuration.confirmed
    gain = None
    if configuration.kind == Kind.BISSL and control is not None:
        gain = paired_gain(configuration.scores, control.scores)
    change = largest_change(configuration.runs)
    runs = configuration.runs
    if configuration.kind == Kind.CONTROL:  # its budget went into all points, not only into the best
        runs = tuple(run for c in everyone if c.kind == Kind.CONTROL and c.sweep == (dataset, sweep) for run in c.runs)
    unjudged = configuration.kind == Kind.CONTROL or head["status"] in (Status.RUNNING, Status.FAILED)
    return {
        "rank": None,
        "dataset": dataset,
        "sweep": sweep,
        "trial": head["trial"],
        "kind": configuration.kind,
        "control": head["control"],
        "standing": Standing.EXPLORED if confirmed is None else Standing.CONFIRMED,
        **with_ends("objective", confirmed),
        "objective": configuration.explored if confirmed is None else confirmed.mean,
        "objective_name": configuration.objective_name,
        "seeds": 0 if confirmed is None else confirmed.n,
        **with_ends("gain", gain),
        **_tie(configuration, everyone),
        "gain_seeds": 0 if gain is None else gain.n,
        **with_ends("test_metric", estimate(list(configuration.test_scores.values()))),
        "explore_objective": configuration.explored if head["step"] == Step.SEARCH else None,
        **{name: head[name] for name in FROM_TRIAL},
        "implicit_change": change,
        "acts_as_identity": None if unjudged else acts_as_identity(change),
        "on_front": None,
        "unsolved": None if configuration.kind == Kind.CONTROL else unsolved(head),
        "moved": _moved(configuration),
        "total_seconds": _total(runs, "seconds"),
        "total_gpu_seconds": _total(runs, "gpu_seconds"),
        **_parameters(configuration),
    }


def _tie(configuration: Configuration, everyone: Iterable[Configuration]) -> Row:
    """Whether its seeds don't tell a confirmed configuration from the best of its sweep, and how many would."""
    scores = configuration.scores
    best = best_bissl(everyone, configuration.sweep) if scores and configuration.kind == Kind.BISSL else None
    if best is None or best.head["trial"] == configuration.head["trial"]:
        return {"tied": None, "seeds_to_tell": None}
    shared = sorted(best.scores.keys() & scores.keys())
    differences = [best.scores[seed] - scores[seed] for seed in shared]
    apart = estimate(differences)
    tied = apart is None or apart.low is None or apart.low <= 0
    return {"tied": tied, "seeds_to_tell": values_to_separate(differences) if tied else None}


def _parameters(configuration: Configuration) -> Row:
    """Give the head's parameters, with those of fine-tuning as the runs that confirm it had them."""
    parameters = {name: value for name, value in configuration.head.items() if name.startswith(PARAMETER_PREFIX)}
    for name in parameters:
        values = {run[name] for run in configuration.seeds}
        if len(values) == 1 and None not in values:
            parameters[name] = values.pop()
    return parameters


def _moved(configuration: Configuration) -> float | None:
    runs = configuration.seeds or (configuration.head,)
    moved = [value for run in runs if (value := finite(run["moved"])) is not None]
    return fmean(moved) if moved else None


def _total(runs: Iterable[Row], column: str) -> float | None:
    values = [value for run in runs if (value := finite(run[column])) is not None]
    return sum(values) if values else None
