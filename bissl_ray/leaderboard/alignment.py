"""How well the lower backbone fits the task before any fine-tuning, over the alternations: lines for `show`."""

from collections.abc import Sequence
from typing import Final

from bissl_ray.leaderboard.configurations import finite
from bissl_ray.leaderboard.diagnostics import bars
from bissl_ray.leaderboard.numbers import duration, relative
from bissl_ray.metrics import of_objective
from bissl_ray.store.schema import Row

EXPLAINED: Final = (
    "On validation images. kNN: the 20 most similar labelled images vote on the class. Linear probe: the best linear "
    "head on fixed features. CKA: 1 where two backbones tell the same images apart in the same way, but for rotation "
    "and scale of their features."
)
_FITS: Final = (("nearest neighbours (kNN)", "lower_knn"), ("linear probe", "lower_probe"))
_LIKENESS: Final = (
    ("CKA with the pretrained backbone", "cka_pretrained"),
    ("CKA with the upper backbone", "cka_upper"),
)


def alignment_lines(trial: Row, reports: Sequence[Row], width: int) -> list[tuple[str, str]]:
    """What was measured of the alignment, with labels; nothing where `alignment_every` was 0.

    Args:
        trial: its row, which has what the trial started from.
        reports: of its alternations, in order.
        width: characters at most that a curve may take.
    """
    measured = [row for row in reports if row["lower_knn"] is not None]
    if not measured:
        return []
    metric = of_objective(trial["objective_name"])
    pairs = []
    for label, column in _FITS:
        before, values = finite(trial[f"{column}_before"]), _values(measured, column)
        was = "" if before is None else f"{metric.score(before)} before, "
        curve = bars([*([] if before is None else [before]), *values], width)
        pairs.append((label, f"{was}{metric.score(values[0])} to {metric.score(values[-1])}  {curve}"))
    for label, column in _LIKENESS:
        if values := _values(measured, column):
            pairs.append((label, f"{values[0]:.3f} to {values[-1]:.3f}  {bars(values, width)}"))
    if values := _values(measured, "distance_pretrained"):
        way = f"{relative(values[0])} to {relative(values[-1])} of its length  {bars(values, width)}"
        pairs.append(("way from the pretrained backbone", way))
    at = measured[0]["alternation"], measured[-1]["alternation"]
    times = "once" if len(measured) == 1 else f"{len(measured)} times, alternations {at[0]} to {at[1]}"
    took = duration(trial["alignment_seconds"])
    pairs.append(("measured", times + (f"; took {took}, not counted in the time above" if took else "")))
    return pairs


def _values(reports: Sequence[Row], column: str) -> list[float]:
    return [value for row in reports if (value := finite(row[column])) is not None]
