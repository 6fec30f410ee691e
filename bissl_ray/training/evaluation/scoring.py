"""Stages that train nothing: one look at the test split, and all metrics of a model, or of its frozen backbone."""

from collections.abc import Sequence
from typing import Any, Final

from bissl_ray.downstream import LinearTask, check_frozen
from bissl_ray.errors import BadInputError, nearest
from bissl_ray.training.evaluation.drawing import draw_pictures
from bissl_ray.training.evaluation.features import extract_features
from bissl_ray.training.evaluation.knn import NEIGHBOURS, knn
from bissl_ray.training.evaluation.linear_probe import linear_probe, probe_metrics
from bissl_ray.training.trial import Trial
from bissl_ray.training.worker import in_step

WAYS: Final = ("knn", "linear_probe")


def evaluate_frozen(trial: Trial, split: str = "validation", ways: Sequence[str] = WAYS) -> dict[str, dict[str, float]]:
    """Judge the lower backbone by its features, each image's taken once (collective over the trial's workers).

    Training images are seen as those that are judged: resized and cropped in the middle, none augmented.

    Args:
        trial: its models and data.
        split: "validation", or "test" for a run that may look there. A probe's penalty is chosen on
            validation, whose own figure is flattered by that.
        ways: of `WAYS`.

    Returns:
        Every figure of the dataset's task under "knn20", "knn200" and "linear_probe" (votes have no loss). Where there
        are fewer training images than neighbours, all of them vote, and the name says how many: "knn150".

    Raises:
        BadInputError: there is no such way, a split has no images, or the task has no linear head on features.
        FloatingPointError: the backbone's features are not finite.
    """
    for way in ways:
        if way not in WAYS:
            raise BadInputError(
                f"no way to judge a frozen backbone is called {way!r}; there are: {', '.join(WAYS)}{nearest(way, WAYS)}"
            )
    task, backbone = trial.models.downstream, trial.models.lower
    try:
        check_frozen(trial.data.spec)
    except BadInputError as error:
        raise in_step(error) from None
    assert isinstance(task, LinearTask)
    names = dict.fromkeys(["train", *(["validation"] if "linear_probe" in ways else []), split])
    with trial.autocast():
        features = {name: extract_features(backbone, task, trial.evaluation(name)) for name in names}
    found: dict[str, dict[str, float]] = {}
    if "knn" in ways:
        neighbours = list(dict.fromkeys(min(k, len(trial.data.splits.train)) for k in NEIGHBOURS))
        judged = knn(features["train"], features[split], task, neighbours)
        found |= {f"knn{k}": figures for k, figures in zip(neighbours, judged, strict=True)}
    if "linear_probe" in ways:
        probe = linear_probe(features["train"], features["validation"], task, trial.metric.name)
        found["linear_probe"] = probe_metrics(probe.task, features[split])
    return found


def evaluate_on_test(trial: Trial, _saved: Any) -> None:
    """Score a fine-tuned model on the test split, as an objective; only the winner and the control are sent here."""
    trial.account.totals["test_metric"] = trial.score("lower", split="test")


def score_model(trial: Trial, _saved: Any) -> None:
    """Score backbone and head as they are, and draw images as far as the order asks for any."""
    order, totals, names = trial.order, trial.account.totals, trial.data.splits.class_names
    found = trial.scores("lower", order.split)
    totals["metrics"] = {"model": found.figures}
    if found.by_class:
        totals["by_class"] = found.by_class
        totals["class_names"] = list(names or map(str, range(trial.data.splits.classes or 0)))
    if order.pictures:
        totals["pictures"] = draw_pictures(trial, order.split, order.pictures)


def score_frozen(trial: Trial, _saved: Any) -> None:
    """Judge the backbone as it is, in the ways that the order names."""
    trial.account.totals["metrics"] = evaluate_frozen(trial, trial.order.split, trial.order.frozen)
