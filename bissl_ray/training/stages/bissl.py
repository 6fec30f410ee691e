"""The BiSSL stage: alternations of both levels, a report after each."""

from statistics import fmean
from typing import Any

from bissl_ray.bilevel import AlternationReport, BilevelTrainer, Level
from bissl_ray.training.account import Totals
from bissl_ray.training.curvature import exact_curvature, proximity_weights
from bissl_ray.training.stages.alternating import Alternating, lower_level_of, run_alternations
from bissl_ray.training.trial import Trial


def align(trial: Trial, saved: Any) -> None:
    """Align the backbone with the downstream task, as `run_alternations` does.

    The objective reported after each alternation is the validation metric of the upper model (θ_D, φ_D), or of θ frozen
    (`explore_by`).
    """
    # Each alternation draws one lower batch more than it has steps: the one that the Hessian is taken on.
    drawn = trial.settings.lower_steps + 1
    run_alternations(trial, Alternating("bissl", trainer_of(trial), drawn, "upper", _add_up), saved)


def trainer_of(trial: Trial) -> BilevelTrainer[Any, Any]:
    """The trainer of `align`, at its beginning."""
    settings, models = trial.settings, trial.models
    images = trial.data.curvature_images // trial.worker.world_size
    return BilevelTrainer(
        lower_level_of(trial, exact_curvature(settings, models, images, trial.replays)),
        Level(models.upper, models.downstream, trial.downstream_loss),
        settings,
        proximity_weights(settings, models.lower),
        replays=trial.replays,
    )


def _add_up(totals: Totals, report: AlternationReport) -> None:
    """Bring what the trial has come to up to date."""
    residuals = totals.setdefault("residuals", [])
    residuals += [] if report.cg_residual is None else [report.cg_residual]
    changes = [c for c in (totals.get("implicit_change"), report.implicit_change) if c is not None]
    totals["hvps"] = totals.get("hvps", 0) + report.hvps
    totals["cg_residual"] = fmean(residuals) if residuals else None
    totals["negative_curvature"] = totals.get("negative_curvature", 0) + report.negative_curvature
    totals["implicit_change"] = max(changes, default=None)
