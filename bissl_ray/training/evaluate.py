"""One look at the test split."""

from typing import Any

from bissl_ray.training.trial import Trial


def evaluate_on_test(trial: Trial, _saved: Any) -> None:
    """Score a fine-tuned model on the test split; only the winner and the control are ever sent here."""
    trial.totals["test_metric"] = trial.score("lower", split="test")
