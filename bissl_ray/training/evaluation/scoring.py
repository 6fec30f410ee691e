"""Stages that train nothing: one look at the test split, and all metrics of a model, or of its frozen backbone."""

from typing import Any

from bissl_ray.training.evaluation.frozen import evaluate_frozen
from bissl_ray.training.trial import Trial


def evaluate_on_test(trial: Trial, _saved: Any) -> None:
    """Score a fine-tuned model on the test split, as an objective; only the winner and the control are sent here."""
    trial.account.totals["test_metric"] = trial.score("lower", split="test")


def score_model(trial: Trial, _saved: Any) -> None:
    """Score backbone and head as they are."""
    trial.account.totals["metrics"] = {"model": trial.metrics("lower", trial.order.split)}


def score_frozen(trial: Trial, _saved: Any) -> None:
    """Judge the backbone as it is, in the ways that the order names."""
    trial.account.totals["metrics"] = evaluate_frozen(trial, trial.order.split, trial.order.frozen)
