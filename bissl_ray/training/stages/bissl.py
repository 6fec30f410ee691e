"""The BiSSL stage: alternations of both levels, a report after each."""

from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from statistics import fmean
from typing import Any, Self

from bissl_ray.bilevel import AlternationReport, BilevelTrainer, Level
from bissl_ray.progress import Step
from bissl_ray.training.account import Totals
from bissl_ray.training.curvature import exact_curvature, proximity_weights
from bissl_ray.training.evaluation.alignment import AlignmentMeter
from bissl_ray.training.evaluation.embeddings import EmbeddingStatistics, measure_embeddings
from bissl_ray.training.evaluation.statistics import MOST_BATCHES, reestimate_statistics
from bissl_ray.training.lower_memory import pretext_step_loss
from bissl_ray.training.stages.diagnosis import Diagnosis, TrialDiagnosedError
from bissl_ray.training.trial import Trial


def align(trial: Trial, saved: Any) -> None:
    """Align the backbone with the downstream task; afterwards "lower" or "upper" is what fine-tuning starts from.

    The objective reported after each alternation is the validation metric of the upper model (θ_D, φ_D). The saved
    backbone's running statistics are re-estimated on views of the pretext pool, the lower level's data.

    Raises:
        TrialDiagnosedError: after the report of an alternation that shows the trial to be beyond help.
    """
    settings, models = trial.settings, trial.models
    trainer = trainer_of(trial)
    diagnosis = Diagnosis(settings)
    done = 0
    if saved is not None:
        trainer.load_state_dict(saved["trainer"])
        diagnosis.load_state_dict(saved["diagnosis"])
        done = saved["alternations"]
    meter = AlignmentMeter(trial, done)
    looks = min(MOST_BATCHES, trial.data.labelled_steps(settings.upper_batch))
    # Each alternation draws one lower batch more than it has steps: the one that the Hessian is taken on.
    lower_drawn, upper_drawn = settings.lower_steps + 1, settings.upper_steps
    with (
        trial.data.pretext_batches("bissl", settings.lower_batch, done * lower_drawn) as unlabelled,
        trial.data.labelled("bissl", settings.upper_batch, done * upper_drawn) as upper,
        trial.data.labelled("statistics", settings.upper_batch, done * looks) as seen,
    ):
        lower = KeepsLast(unlabelled)
        for alternation in range(done + 1, settings.alternations + 1):
            report = trainer.alternation(lower, upper)
            with trial.autocast():
                embeddings = measure_embeddings(models.pretext, models.lower, lower.last)
            with trial.autocast():
                reestimate_statistics(
                    [models.upper, models.downstream], partial(models.downstream.loss, models.upper), seen, looks
                )
            _add_up(trial.account.totals, report, embeddings)
            objective = trial.account.totals["objective"] = trial.score("upper")
            measured = {"embedding_std": embeddings.std, "embedding_rank": embeddings.rank, "objective": objective}
            trial.account.report({"stage": "bissl", **asdict(report), **measured, **meter.after(alternation)})
            reason = diagnosis.look(report, embeddings)
            if reason is not None:
                raise TrialDiagnosedError(reason)
            if alternation < settings.alternations:
                state = {"alternations": alternation, "diagnosis": diagnosis.state_dict()}
                where = Step("bissl", alternation, settings.alternations, "alternation")
                trial.advance(where, lambda state=state: {"trainer": trainer.state_dict(), **state})  # type: ignore[misc]
        with trial.autocast():
            reestimate_statistics(
                [models.lower], partial(models.pretext.features, models.lower), unlabelled, MOST_BATCHES
            )
    trial.save_models("aligned", ("pretext", "downstream", "upper"))


def trainer_of(trial: Trial) -> BilevelTrainer[Any, Any]:
    """The trainer of `align`, at its beginning."""
    settings, models = trial.settings, trial.models
    images = trial.data.curvature_images // trial.worker.world_size
    return BilevelTrainer(
        Level(
            models.lower,
            models.pretext,
            trial.pretext_loss,
            after_step=partial(models.pretext.after_step, models.lower),
            curvature=exact_curvature(settings, models, images, trial.replays),
            step_loss=pretext_step_loss(trial, settings.lower_batch),
        ),
        Level(models.upper, models.downstream, trial.downstream_loss),
        settings,
        proximity_weights(settings, models.lower),
        replays=trial.replays,
    )


class KeepsLast(Iterator[Any]):
    """Passes batches on and keeps the last: after an alternation, the one that H was taken on.

    Attributes:
        last: that batch; not there before the first.
    """

    def __init__(self, batches: Iterator[Any]) -> None:
        self._batches = batches
        self.last: Any

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        self.last = next(self._batches)
        return self.last


def _add_up(totals: Totals, report: AlternationReport, embeddings: EmbeddingStatistics) -> None:
    """Bring what the trial has come to up to date."""
    residuals = totals.setdefault("residuals", [])
    residuals += [] if report.cg_residual is None else [report.cg_residual]
    changes = [c for c in (totals.get("implicit_change"), report.implicit_change) if c is not None]
    totals["alternations"] = report.alternation
    totals["hvps"] = totals.get("hvps", 0) + report.hvps
    totals["cg_residual"] = fmean(residuals) if residuals else None
    totals["negative_curvature"] = totals.get("negative_curvature", 0) + report.negative_curvature
    totals["implicit_change"] = max(changes, default=None)
    totals["embedding_std"], totals["embedding_rank"] = embeddings.std, embeddings.rank
