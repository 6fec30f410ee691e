"""The joint stage, in the place of BiSSL: pretext and labels on one backbone, or the pretext alone (issue 16)."""

from typing import Any

from bissl_ray.bilevel import Level
from bissl_ray.bilevel.joint import JointTrainer
from bissl_ray.training.stages.alternating import Alternating, lower_level_of, run_alternations
from bissl_ray.training.trial import Trial


def train_jointly(trial: Trial, saved: Any) -> None:
    """Train θ on both losses, or on the pretext's alone while φ_D keeps up, as `run_alternations` does.

    The objective reported after each alternation is the validation metric of (θ, φ_D), or of θ frozen (`explore_by`).
    As many images of both kinds are drawn as BiSSL draws for its steps, from the streams that BiSSL draws from.
    """
    drawn, trainer = trial.settings.lower_steps, joint_trainer_of(trial)
    run_alternations(trial, Alternating("joint", trainer, drawn, "lower"), saved)


def joint_trainer_of(trial: Trial) -> JointTrainer[Any, Any]:
    """The trainer of `train_jointly`, at its beginning."""
    settings, models = trial.settings, trial.models
    return JointTrainer(
        lower_level_of(trial),
        Level(models.lower, models.downstream, trial.downstream_loss),
        settings,
        settings.joint_weight if settings.method == "joint" else None,
        replays=trial.replays,
    )
