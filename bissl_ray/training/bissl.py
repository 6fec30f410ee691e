"""The BiSSL stage: alternations of both levels, a report after each."""

from dataclasses import asdict, fields, replace
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn

from bissl_ray.bilevel import BilevelHyperparameters, BilevelTrainer
from bissl_ray.training.curvature import exact_curvature
from bissl_ray.training.proximity import proximity_weights
from bissl_ray.training.statistics import MOST_BATCHES, reestimate_statistics
from bissl_ray.training.trial import Trial

Batch = tuple[Tensor, Tensor]


def align(trial: Trial, saved: Any) -> None:
    """Align the backbone with the downstream task; afterwards "lower" is what fine-tuning starts from.

    The objective reported after each alternation is the validation metric of the upper model (θ_D, φ_D). The saved
    backbone's running statistics are re-estimated on views of the pretext pool, the lower level's data.
    """
    settings, models = trial.settings, trial.models

    def lower_loss(views: Batch) -> Tensor:
        with trial.autocast():
            return models.pretext.loss(models.lower, views)

    def upper_loss(backbone: nn.Module, batch: Batch) -> Tensor:
        with trial.autocast():
            return models.downstream.loss(backbone, batch)

    trainer = BilevelTrainer(
        models.lower,
        models.pretext,
        models.upper,
        models.downstream,
        lower_loss,
        upper_loss,
        replace(
            BilevelHyperparameters(**{f.name: getattr(settings, f.name) for f in fields(BilevelHyperparameters)}),
            proximity_weight=proximity_weights(settings, models.lower),
        ),
        lambda: models.pretext.after_step(models.lower),
        exact_curvature(settings, models, trial.curvature_images // trial.worker.world_size),
    )
    done = 0
    if saved is not None:
        trainer.load_state_dict(saved["trainer"])
        done = saved["alternations"]
    totals = trial.totals
    totals.setdefault("hvps", 0)
    residuals: list[float] = totals.setdefault("residuals", [])
    looks = min(MOST_BATCHES, trial.labelled_steps(settings.upper_batch))
    # Each alternation draws one lower batch more than it has steps: the one that the Hessian is taken on.
    lower_drawn, upper_drawn = settings.lower_steps + 1, settings.upper_steps
    with (
        trial.pretext_views("bissl", settings.lower_batch, done * lower_drawn) as lower,
        trial.labelled("bissl", settings.upper_batch, done * upper_drawn) as upper,
        trial.labelled("statistics", settings.upper_batch, done * looks) as seen,
    ):
        for alternation in range(done + 1, settings.alternations + 1):
            report = asdict(trainer.alternation(lower, upper))
            with trial.autocast():
                reestimate_statistics(models.upper, seen, looks)
            totals["hvps"] += report["hvps"]
            if report["cg_residual"] is not None:
                residuals.append(report["cg_residual"])
            totals.update(
                alternations=alternation,
                objective=trial.score("upper"),
                cg_residual=fmean(residuals) if residuals else None,
            )
            trial.report({"stage": "bissl", **report, "objective": totals["objective"]})
            if alternation < settings.alternations:
                now = alternation
                trial.save_progress(
                    "bissl",
                    lambda now=now: {"trainer": trainer.state_dict(), "alternations": now},  # type: ignore[misc]
                )
        # Both views: the first alone is always blurred on photographs.
        both = ((torch.cat(views), views[0]) for views in lower)
        with trial.autocast():
            reestimate_statistics(models.lower, both, MOST_BATCHES)
    trial.save_models("aligned", ("pretext", "downstream"))
