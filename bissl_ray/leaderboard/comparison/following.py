"""The gain against what fine-tuning follows: where both sides were tuned at the same points (issue 16)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Final

from bissl_ray.leaderboard.configurations import finite
from bissl_ray.leaderboard.numbers import setting
from bissl_ray.metrics import Metric
from bissl_ray.store.schema import Row
from bissl_ray.words import PARAMETER_PREFIX, Phase, Status, Step

_FINETUNING: Final = f"{PARAMETER_PREFIX}finetune_"


@dataclass(frozen=True)
class Following:
    """One point of the fine-tuning search that both sides ran, under the same seeds.

    Attributes:
        point: the settings of fine-tuning that differ between the points, by name.
        gain: BiSSL's mean objective less the control's, on the validation split; a fraction.
        runs: of the side that finished fewer.
    """

    point: dict[str, Any]
    gain: float
    runs: int = 1


def gains_by_following(trials: Iterable[Row]) -> list[Following]:
    """Pair the tuning runs of a sweep by their fine-tuning settings, in the order of the learning rate.

    Args:
        trials: rows of the sweep; where several finalists of BiSSL ran a point, the first counts.
    """
    tuned: dict[Phase, dict[tuple[Any, ...], list[Row]]] = {Phase.CONFIRM: {}, Phase.CONTROL: {}}
    columns: list[str] = []
    for row in trials:
        columns = columns or sorted(name for name in row if name.startswith(_FINETUNING))
        scored = row["status"] == Status.COMPLETE and finite(row["objective"]) is not None
        if row["step"] == Step.TUNING and row["phase"] in tuned and scored:
            runs = tuned[Phase(row["phase"])].setdefault(tuple(row[name] for name in columns), [])
            if row["phase"] == Phase.CONTROL or not runs or runs[0]["parent"] == row["parent"]:
                runs.append(row)
    ours, theirs = tuned[Phase.CONFIRM], tuned[Phase.CONTROL]
    shared = [key for key in ours if key in theirs]
    varying = [name for place, name in enumerate(columns) if len({key[place] for key in shared}) > 1]
    found = [
        Following(
            {name.removeprefix(PARAMETER_PREFIX): ours[key][0][name] for name in varying},
            fmean(row["objective"] for row in ours[key]) - fmean(row["objective"] for row in theirs[key]),
            min(len(ours[key]), len(theirs[key])),
        )
        for key in shared
    ]
    return sorted(found, key=lambda one: one.point.get("finetune_lr") or 0.0)


def in_words(following: Sequence[Following], metric: Metric) -> str | None:
    """The gains in a line; None with fewer than two points, which say nothing of how they change."""
    if len(following) < 2:
        return None
    # A weight decay beside the rate makes no difference that a reader asks for first.
    told = [name for name in following[0].point if name != "finetune_weight_decay"] or list(following[0].point)
    points = ", ".join(
        f"{' '.join(setting(one.point[name]) for name in told)}: {metric.gain(one.gain)}" for one in following
    )
    fewest = min(one.runs for one in following)
    runs = "one run" if fewest == 1 else f"{fewest} runs"
    return f"Gain by the {' and '.join(told)} of the fine-tuning that follows (validation, {runs} each): {points}."
