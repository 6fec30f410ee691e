"""Stages that train nothing that is kept: all metrics of a model, or of its frozen backbone, on one split."""

from typing import Any

from bissl_ray.training.trial import Trial


def score_model(trial: Trial, _saved: Any) -> None:
    """Score backbone and head as they are."""
    _note(trial, "model", trial.metrics("lower", trial.order.split))


def _note(trial: Trial, way: str, scores: dict[str, float]) -> None:
    trial.totals.setdefault("metrics", {})[way] = scores
