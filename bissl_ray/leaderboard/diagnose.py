"""What a trial's figures suggest of why BiSSL helped or not: a few sentences, from its stored rows (issue 16)."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Final

from bissl_ray.leaderboard.configurations import best_bissl, finite, gather
from bissl_ray.leaderboard.marks import acts_as_identity, describe_change, unsolved
from bissl_ray.leaderboard.numbers import relative, setting
from bissl_ray.metrics import of_objective
from bissl_ray.store import read_reports, read_trials, to_rows
from bissl_ray.store.schema import Row
from bissl_ray.words import Step

FORGOT_FROM: Final = 0.1
"""A lower loss that rose by this share of itself, from the first quarter of the alternations to the last. On digits the
losses of single alternations differ by 2 % where nothing is wrong (20 of SimCLR); `divergence_factor` ends a trial."""

HEAD_TAKES_BELOW: Final = 0.1
"""With less than this share of the squared upper gradient, a step moves the backbone less than a third as far as the
head (√(0.1 / 0.9) = 0.33), which has a small part of its parameters."""

FITS_FROM: Final = 0.01
"""A change of a score by one point: three of the 300 images that the digits have for validation. Of a figure that is no
share of one: a hundredth of it."""

STILL_BELOW: Final = 0.001
"""Of its length: as far as LARS moves a tensor in a single step at learning rate 1 (its trust coefficient)."""

SAME_FROM: Final = 0.99
"""A linear CKA from here on. On digits it went from 0.999 to 0.980 over 20 alternations, while kNN gained 5 points."""

UNDONE_FROM: Final = 3.0
"""Times the alignment's way: if both ways are at right angles, the alignment is then a tenth of the squared whole."""


def suggestions(trial: Row, reports: Sequence[Row], runs: Sequence[Row] = ()) -> list[str]:
    """Say what stands out in one BiSSL trial; nothing where nothing does, or nothing was measured.

    They are what the figures suggest, no proof: each names its figures.

    Args:
        trial: its row.
        reports: its reports, in any order.
        runs: rows of the runs that tune or confirm it, which know how far fine-tuning moves.
    """
    alternations = sorted((row for row in reports if row["stage"] == "bissl"), key=lambda row: row["alternation"] or 0)
    found = [
        *_solves(trial),
        *_way(trial),
        *_fit(trial),
        *_head(alternations),
        *_forgetting(alternations),
        *_undone(trial, runs),
    ]
    return found if alternations else []


def of_winner(storage: str | Path, sweep: str) -> tuple[str, list[str]] | None:
    """The winner of a sweep, and what its figures suggest; None where nothing is confirmed or nothing stands out."""
    trials = to_rows(read_trials(storage, sweep=sweep))
    best = best_bissl(gather(trials), (trials[0]["dataset"], sweep)) if trials else None
    if best is None:
        return None
    dataset, name = best.head["dataset"], best.head["trial"]
    reports = [row for row in to_rows(read_reports(storage, dataset, sweep)) if row["trial"] == name]
    said = suggestions(best.head, reports, [*best.tuning, *best.seeds])
    return (name, said) if said else None


def _solves(trial: Row) -> list[str]:
    if acts_as_identity(trial["implicit_change"]):
        return [f"The hypergradient {describe_change(trial)}."]
    if unsolved(trial):
        residual = setting(trial["cg_residual"])
        return [
            f"The linear solves were in vain: their mean relative residual is {residual}, and that of no solution is 1."
        ]
    return []


def _way(trial: Row) -> list[str]:
    way, likeness = finite(trial["distance_pretrained"]), finite(trial["cka_pretrained"])
    if way is None:
        return []
    if way < STILL_BELOW:
        return [f"The lower backbone hardly moved: {relative(way)} of its length away from the pretrained one."]
    if likeness is not None and likeness >= SAME_FROM:
        return [
            "The lower backbone still sees the images as the pretrained one does: their features have a linear CKA of "
            f"{likeness:.3f} (1: the same), though its weights moved by {relative(way)} of their length."
        ]
    return []


def _fit(trial: Row) -> list[str]:
    metric = of_objective(trial["objective_name"])
    changes, told = [], []
    for name, column in (("kNN", "lower_knn"), ("linear probe", "lower_probe")):
        before, after = finite(trial[f"{column}_before"]), finite(trial[column])
        if before is not None and after is not None:
            changes.append((after - before) / (1.0 if metric.share else abs(before) or 1.0))
            told.append(f"{name} {metric.score(before)} to {metric.score(after)}")
    if not changes:
        return []
    # Before 0.64 and after 0.65 is a change of a point, whatever binary fractions make of it.
    better, worse = max(changes) > FITS_FROM - 1e-9, min(changes) < 1e-9 - FITS_FROM
    word = {(True, False): "better than", (False, True): "worse than", (False, False): "no better than"}
    how = word.get((better, worse), "by one figure better, by the other worse than")
    return [f"Before any fine-tuning the lower backbone fits the task {how} the pretrained one: {', '.join(told)}."]


def _head(alternations: Sequence[Row]) -> list[str]:
    shares = _values(alternations, "upper_backbone_share")
    if not shares or fmean(shares) >= HEAD_TAKES_BELOW:
        return []
    share = relative(fmean(shares))
    return [f"The head takes most of the upper steps: the backbone's share of the squared upper gradient is {share}."]


def _forgetting(alternations: Sequence[Row]) -> list[str]:
    losses = _values(alternations, "lower_loss")
    quarter = max(1, len(losses) // 4)
    if len(losses) < 2:
        return []
    first, last = fmean(losses[:quarter]), fmean(losses[-quarter:])
    if last - first < FORGOT_FROM * abs(first):
        return []
    return [f"The lower level forgot part of the pretext: its loss rose from {setting(first)} to {setting(last)}."]


def _undone(trial: Row, runs: Sequence[Row]) -> list[str]:
    way = finite(trial["distance_pretrained"])
    confirming = [row for row in runs if row["step"] == Step.SEEDS]
    moved = _values([trial], "moved") or _values(confirming, "moved") or _values(runs, "moved")
    # Where the alignment did not move at all, that is what there is to say.
    if way is None or way < STILL_BELOW or not moved or fmean(moved) < UNDONE_FROM * way:
        return []
    return [
        f"Fine-tuning moved the backbone {fmean(moved) / way:.1f} times as far as the alignment did: by "
        f"{relative(fmean(moved))} of its length, after {relative(way)}."
    ]


def _values(rows: Sequence[Row], column: str) -> list[float]:
    return [value for row in rows if (value := finite(row[column])) is not None]
