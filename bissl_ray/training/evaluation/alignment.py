"""What the alignment does to the lower backbone before any fine-tuning: how well it fits the task, how far it has come.

The question behind the analysis in arXiv 2410.02387, with figures that need no fine-tuning (issue 16).
"""

from typing import Final, Literal

import torch
from torch import Tensor

from bissl_ray.bilevel.measurements import mean_where_defined, on_host
from bissl_ray.data.sampling import evenly_spread
from bissl_ray.downstream import LinearTask
from bissl_ray.metrics import Metric
from bissl_ray.models.base import Backbone
from bissl_ray.parallel import Group, gather_rows
from bissl_ray.training.evaluation.features import Features, extract_features
from bissl_ray.training.evaluation.knn import NEIGHBOURS, knn
from bissl_ray.training.evaluation.likeness import linear_cka, relative_distance, weights_of
from bissl_ray.training.evaluation.linear_probe import linear_probe
from bissl_ray.training.evaluation.statistics import norms_of, reestimate_statistics
from bissl_ray.training.trial import Trial

_PENALTY: Final = 1e-2
"""Of the linear probe, whose features are standardised: one value for all that is compared, chosen on nothing."""
_BATCHES: Final = 4
"""For running statistics, a quarter of those of a model that is saved: they would take longer than all the rest."""
_MOST_IMAGES: Final = 5000
"""Of the training and of the validation split each: more would take longer than the alternation that is measured."""
_MOST_COMPARED: Final = 1000
"""Images that CKA is taken on: a Gram matrix in double precision is then 8 MB."""


def frozen_fit(
    train: Features, validation: Features, task: LinearTask, metric: Metric, group: Group = None
) -> tuple[float, float]:
    """How well features fit a task as they are (collective).

    Args:
        train: this worker's share of the labelled training images, without augmentation.
        validation: this worker's share of the images to judge.
        task: gives loss and figures; its weights are not used.
        metric: the figure that is wanted.
        group: the workers that share the splits.

    Returns:
        Objectives of the vote of the 20 nearest neighbours (of fewer training images, all) and of a linear probe.
    """
    given = (train, validation, task, metric, group)
    return _by_votes(*given), _by_probe(*given)


def _by_votes(train: Features, validation: Features, task: LinearTask, metric: Metric, group: Group) -> float:
    (votes,) = knn(train, validation, task, NEIGHBOURS[:1], group=group)
    return metric.objective(votes[metric.name])


def _by_probe(train: Features, validation: Features, task: LinearTask, metric: Metric, group: Group) -> float:
    probe = linear_probe(train, validation, task, metric.name, (_PENALTY,), group)
    return metric.objective(probe.validation[_PENALTY])


def frozen_objective(trial: Trial, way: Literal["lower_knn", "lower_probe"]) -> float:
    """What a trial's lower backbone is worth as it is, as an objective: the column of that name (collective).

    Judged as `AlignmentMeter` does, whose figure of the same alternation it is.

    Raises:
        FloatingPointError: features or the figure are not finite; the same on every worker.
    """
    lower = _as_saved(trial, trial.models.backbone_of({"backbone": trial.models.lower.state_dict()}))
    train, validation = (_features(trial, lower, split) for split in ("train", "validation"))
    judge = _by_votes if way == "lower_knn" else _by_probe
    (found,) = _agreed({way: judge(train, validation, _task(trial), trial.metric, None)}, trial.worker.device).values()
    if found is None:
        raise FloatingPointError(f"the {way} of the validation split is not a number")
    return found


def compared_rows(features: Features, group: Group = None) -> Tensor:
    """Features of at most 1,000 images, spread evenly over all workers', alike on all of them (collective)."""
    rows = gather_rows(features.rows, group)
    count = min(_MOST_COMPARED, len(rows))
    return rows[torch.tensor(evenly_spread(count, len(rows)), dtype=torch.int64, device=rows.device)]


class AlignmentMeter:
    """Measures a trial's alternations as `alignment_every` says, and changes nothing of them (collective).

    The lower backbone is judged as it would be saved: on a copy whose running statistics are taken afresh on views of
    the pretext pool, each time on the same ones, so that alternations differ by their weights alone. Of the upper one
    the statistics are those that it has just been scored with. All passes are in evaluation mode, without gradient, on
    streams of their own. The backbone that the trial starts from is read from the order's `start`, so that a trial
    which goes on after an interruption needs nothing kept.
    """

    def __init__(self, trial: Trial, done: int, beside_upper: bool = True) -> None:
        """Look at the backbone that the trial starts from, unless nothing is to be measured.

        Args:
            trial: its models, in a stage of alternations.
            done: alternations that an earlier attempt has run; where there are none the start is judged, too.
            beside_upper: whether there is an upper backbone for the lower one to be like.

        Raises:
            FileNotFoundError: what the trial starts from is not there.
        """
        self._trial, self._every, self._beside_upper = trial, trial.settings.alignment_every, beside_upper
        if not self._every:
            return
        content = trial.read(trial.order.start)
        if content is None:
            missing = f"{trial.order.storage}/{trial.order.start}"
            raise FileNotFoundError(f"{missing}: the alignment is measured against it")
        with trial.account.apart():
            start = trial.models.backbone_of(content)
            self._weights = weights_of(start)
            start = _as_saved(trial, start)
            validation = _features(trial, start, "validation")
            self._rows = compared_rows(validation)
            if not done:
                names = ("lower_knn_before", "lower_probe_before")
                fit = frozen_fit(_features(trial, start, "train"), validation, _task(trial), trial.metric)
                judged = _agreed(dict(zip(names, fit, strict=True)), trial.worker.device)
                trial.account.totals.update(judged)  # type: ignore[typeddict-item]

    def after(self, alternation: int) -> dict[str, float | None]:
        """Measure the backbones after an alternation, and bring the trial's totals up to date.

        Returns:
            Columns of the alternation's report: lower_knn, lower_probe (objectives), cka_pretrained,
            distance_pretrained, alignment_seconds, and cka_upper where there is an upper backbone. Empty where this one
            is left out, and where features are not finite: a trial is not ended by a look at it.
        """
        if not self._every or not (alternation % self._every == 0 or alternation in (1, self._last)):
            return {}
        totals = self._trial.account.totals
        with self._trial.account.apart():
            try:
                found = self._measured()
            except FloatingPointError as error:
                self._trial.note(f"alternation {alternation}: the alignment could not be measured: {error}")
                return {}
        kept = {name: value for name, value in found.items() if name != "cka_upper"}
        totals.update(kept)  # type: ignore[typeddict-item]
        return {**found, "alignment_seconds": totals["alignment_seconds"]}

    @property
    def _last(self) -> int:
        return self._trial.settings.alternations

    def _measured(self) -> dict[str, float | None]:
        trial, models = self._trial, self._trial.models
        lower = _as_saved(trial, models.backbone_of({"backbone": models.lower.state_dict()}))
        validation = _features(trial, lower, "validation")
        knn_score, probe_score = frozen_fit(_features(trial, lower, "train"), validation, _task(trial), trial.metric)
        rows = compared_rows(validation)
        found = {
            "lower_knn": knn_score,
            "lower_probe": probe_score,
            "cka_pretrained": linear_cka(rows, self._rows),
            "distance_pretrained": relative_distance(lower, self._weights),
        }
        if self._beside_upper:
            found["cka_upper"] = linear_cka(rows, compared_rows(_features(trial, models.upper, "validation")))
        return _agreed(found, trial.worker.device)


def _task(trial: Trial) -> LinearTask:
    task = trial.models.downstream
    assert isinstance(task, LinearTask), "refused by check_task"
    return task


def _features(trial: Trial, backbone: Backbone, split: str) -> Features:
    with trial.autocast():
        return extract_features(backbone, _task(trial), trial.data.evaluation(split, _MOST_IMAGES))


def _as_saved(trial: Trial, backbone: Backbone) -> Backbone:
    """The backbone itself, its running statistics taken afresh on views of the pretext pool, always the same ones."""
    if norms_of(backbone):
        batches = trial.data.pretext_batches("alignment", trial.settings.lower_batch, 0)
        with batches as views, trial.autocast():
            reestimate_statistics(
                [backbone], lambda batch: trial.models.pretext.features(backbone, batch), views, _BATCHES
            )
    return backbone


def _agreed(figures: dict[str, float], device: torch.device) -> dict[str, float | None]:
    """The same figures on all workers, which may round unlike (collective); None for NaN."""
    numbers = on_host([[torch.tensor(value, dtype=torch.float64, device=device)] for value in figures.values()], None)
    return {name: mean_where_defined(row) for name, row in zip(figures, numbers, strict=True)}
