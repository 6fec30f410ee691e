"""Stages that train nothing that is kept: all metrics of a model, or of its frozen backbone, on one split."""

from typing import Any

from bissl_ray.training.frozen import evaluate_frozen
from bissl_ray.training.trial import Trial


def score_model(trial: Trial, _saved: Any) -> None:
    """Score backbone and head as they are."""
    trial.totals["metrics"] = {"model": trial.metrics("lower", trial.order.split)}


def score_frozen(trial: Trial, _saved: Any) -> None:
    """Judge the backbone as it is, in the ways that the order names."""
    trial.totals["metrics"] = evaluate_frozen(trial, trial.order.split, trial.order.frozen)
