"""The gain against how much fine-tuning follows, from none on: where both sides stand at the same points (issue 16)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bissl_ray.leaderboard.configurations import Configuration, finite
from bissl_ray.leaderboard.numbers import setting, with_half
from bissl_ray.metrics import Metric
from bissl_ray.statistics import Estimate, estimate, paired_gain
from bissl_ray.store.schema import Row
from bissl_ray.words import PARAMETER_PREFIX, Phase, Status, Step

_FINETUNING: Final = f"{PARAMETER_PREFIX}finetune_"


@dataclass(frozen=True)
class Following:
    """One point of the fine-tuning search that both sides ran, under the same seeds.

    Attributes:
        point: the settings of fine-tuning that differ between the points, by name.
        gain: BiSSL's objective less the control's, on the validation split; a fraction, paired over seeds.
    """

    point: dict[str, Any]
    gain: Estimate


def gains_by_following(trials: Iterable[Row]) -> list[Following]:
    """Pair the tuning runs of a sweep by their fine-tuning settings and seeds, in the order of the learning rate.

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
    gains = {
        key: gain
        for key in ours
        if key in theirs and (gain := paired_gain(_by_seed(ours[key]), _by_seed(theirs[key]))) is not None
    }
    varying = [name for place, name in enumerate(columns) if len({key[place] for key in gains}) > 1]
    found = [
        Following({name.removeprefix(PARAMETER_PREFIX): ours[key][0][name] for name in varying}, gain)
        for key, gain in gains.items()
    ]
    return sorted(found, key=lambda one: one.point.get("finetune_lr") or 0.0)


def gain_frozen(bissl: Configuration | None) -> Estimate | None:
    """How much better than the pretrained one the aligned backbone fits the task as it is, over confirmation seeds.

    By the linear probe of the validation split that `alignment_every` measures; None where nothing was measured.

    Args:
        bissl: the configuration that was confirmed.
    """
    pairs = [] if bissl is None else [(run["lower_probe_before"], run["lower_probe"]) for run in bissl.seeds]
    known = [(before, after) for before, after in pairs if finite(before) is not None and finite(after) is not None]
    return estimate([after - before for before, after in known])


def in_words(frozen: Estimate | None, following: Sequence[Following], metric: Metric) -> str | None:
    """The gains in a line; None with fewer than two, which say nothing of how they change."""
    if len(following) + (frozen is not None) < 2:
        return None
    told = told_settings(following[0].point)
    names = [" ".join(setting(one.point[name]) for name in told) or "as tuned" for one in following]
    points = [f"{name}: {with_half(one.gain, metric.gain, metric)}" for name, one in zip(names, following, strict=True)]
    fewest = min(one.gain.n for one in following)
    runs = "one run" if fewest == 1 else f"{fewest} seeds"
    by = f"by the {' and '.join(told)} of the fine-tuning that follows" if told else "with the fine-tuning that follows"
    none = [] if frozen is None else [f"none, a probe of the frozen backbone: {with_half(frozen, metric.gain, metric)}"]
    return f"Gain {by} (validation, {runs} each): {', '.join([*none, *points])}."


def told_settings(point: Mapping[str, Any]) -> list[str]:
    """The settings of fine-tuning that a point is called by."""
    # A weight decay beside the rate makes no difference that a reader asks for first.
    return [name for name in point if name != "finetune_weight_decay"] or list(point)


def _by_seed(runs: Iterable[Row]) -> dict[int, float]:
    return {run["seed"]: run["objective"] for run in runs}
