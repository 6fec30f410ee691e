"""The joint stage, in the place of BiSSL: pretext and labels on one backbone, or the pretext alone (issue 16)."""

from dataclasses import asdict
from functools import partial
from typing import Any

from bissl_ray.bilevel import Level
from bissl_ray.bilevel.joint import JointTrainer
from bissl_ray.progress import Step
from bissl_ray.training.evaluation.embeddings import measure_embeddings
from bissl_ray.training.evaluation.statistics import MOST_BATCHES, reestimate_statistics
from bissl_ray.training.lower_memory import pretext_step_loss
from bissl_ray.training.stages.bissl import KeepsLast
from bissl_ray.training.stages.diagnosis import Diagnosis, TrialDiagnosedError
from bissl_ray.training.trial import Trial


def train_jointly(trial: Trial, saved: Any) -> None:
    """Train θ on both losses, or on the pretext's alone while φ_D keeps up; fine-tuning starts from "lower".

    The objective reported after each alternation is the validation metric of (θ, φ_D). As many images of both kinds are
    drawn as BiSSL draws for its steps, from the streams that BiSSL draws from.

    Raises:
        TrialDiagnosedError: after the report of an alternation that shows the trial to be beyond help.
    """
    settings, models = trial.settings, trial.models
    trainer = joint_trainer_of(trial)
    diagnosis = Diagnosis(settings)
    done = 0
    if saved is not None:
        trainer.load_state_dict(saved["trainer"])
        diagnosis.load_state_dict(saved["diagnosis"])
        done = saved["alternations"]
    looks = min(MOST_BATCHES, trial.data.labelled_steps(settings.upper_batch))
    with (
        trial.data.pretext_batches("bissl", settings.lower_batch, done * settings.lower_steps) as unlabelled,
        trial.data.labelled("bissl", settings.upper_batch, done * settings.upper_steps) as labelled,
        trial.data.labelled("statistics", settings.upper_batch, done * looks) as seen,
    ):
        lower = KeepsLast(unlabelled)
        for alternation in range(done + 1, settings.alternations + 1):
            report = trainer.alternation(lower, labelled)
            with trial.autocast():
                embeddings = measure_embeddings(models.pretext, models.lower, lower.last)
            with trial.autocast():
                reestimate_statistics(
                    [models.lower, models.downstream], partial(models.downstream.loss, models.lower), seen, looks
                )
            totals = trial.account.totals
            totals["alternations"] = alternation
            totals["embedding_std"], totals["embedding_rank"] = embeddings.std, embeddings.rank
            objective = totals["objective"] = trial.score("lower")
            measured = {"embedding_std": embeddings.std, "embedding_rank": embeddings.rank, "objective": objective}
            trial.account.report({"stage": "joint", **asdict(report), **measured})
            reason = diagnosis.look(report, embeddings)
            if reason is not None:
                raise TrialDiagnosedError(reason)
            if alternation < settings.alternations:
                state = {"alternations": alternation, "diagnosis": diagnosis.state_dict()}
                where = Step("joint", alternation, settings.alternations, "alternation")
                trial.advance(where, lambda state=state: {"trainer": trainer.state_dict(), **state})  # type: ignore[misc]
        with trial.autocast():
            reestimate_statistics(
                [models.lower], partial(models.pretext.features, models.lower), unlabelled, MOST_BATCHES
            )
    # There is one backbone: what is scored as the upper model elsewhere is this one too.
    models.upper.load_state_dict(models.lower.state_dict())
    trial.save_models("aligned", ("pretext", "downstream"))


def joint_trainer_of(trial: Trial) -> JointTrainer[Any, Any]:
    """The trainer of `train_jointly`, at its beginning."""
    settings, models = trial.settings, trial.models
    return JointTrainer(
        Level(
            models.lower,
            models.pretext,
            trial.pretext_loss,
            after_step=partial(models.pretext.after_step, models.lower),
            step_loss=pretext_step_loss(trial, settings.lower_batch),
        ),
        Level(models.lower, models.downstream, trial.downstream_loss),
        settings,
        settings.joint_weight if settings.method == "joint" else None,
        replays=trial.replays,
    )
