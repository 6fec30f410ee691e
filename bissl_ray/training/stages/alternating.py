"""What BiSSL's stage and those in its place have in common: alternations, a look and a report after each."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal, Protocol, Self

from bissl_ray.bilevel import AlternationReport, CurvatureOperator, Level
from bissl_ray.bilevel.joint import JointReport
from bissl_ray.progress import Step
from bissl_ray.training.account import Totals
from bissl_ray.training.evaluation.alignment import AlignmentMeter, frozen_objective
from bissl_ray.training.evaluation.embeddings import measure_embeddings
from bissl_ray.training.evaluation.statistics import MOST_BATCHES, reestimate_statistics
from bissl_ray.training.lower_memory import pretext_step_loss
from bissl_ray.training.stages.diagnosis import Diagnosis, TrialDiagnosedError
from bissl_ray.training.stages.patience import Patience
from bissl_ray.training.trial import Trial


def lower_level_of(trial: Trial, curvature: Callable[[Any], CurvatureOperator] | None = None) -> Level[Any]:
    """The trial's θ, φ_P and L_P, and what its steps do beside.

    Args:
        trial: its models and settings.
        curvature: as of `Level`.
    """
    models = trial.models
    return Level(
        models.lower,
        models.pretext,
        trial.pretext_loss,
        after_step=partial(models.pretext.after_step, models.lower),
        curvature=curvature,
        step_loss=pretext_step_loss(trial, trial.settings.lower_batch),
    )


class Trainer(Protocol):
    """Takes the steps of an alternation."""

    def alternation(self, unlabelled: Any, labelled: Any, /) -> Any:
        """Run the next one on batches of the pretext and of the task; its report."""

    def state_dict(self) -> Any:
        """What is needed to go on, beside the modules."""

    def load_state_dict(self, state: Any, /) -> None:
        """Go on from there."""


@dataclass(frozen=True)
class Alternating:
    """A stage of alternations.

    Attributes:
        stage: its name, as reports have it.
        trainer: takes the steps.
        unlabelled_drawn: batches of the pretext that an alternation takes.
        scored: the backbone whose score with φ_D is the objective, unless `explore_by` says otherwise.
        add_up: brings what the trial has come to up to date by an alternation's report.
    """

    stage: str
    trainer: Trainer
    unlabelled_drawn: int
    scored: Literal["upper", "lower"]
    add_up: Callable[[Totals, Any], None] = lambda *_: None


def run_alternations(trial: Trial, how: Alternating, saved: Any) -> None:
    """Run a stage's alternations and write the models; "lower" or "upper" is what fine-tuning starts from.

    The saved backbone's running statistics are re-estimated on views of the pretext pool, the lower level's data.

    Raises:
        TrialDiagnosedError: after the report of an alternation that shows the trial to be beyond help.
    """
    settings, models, trainer = trial.settings, trial.models, how.trainer
    scored, diagnosis, patience, done = getattr(models, how.scored), Diagnosis(settings), Patience(settings.patience), 0
    if saved is not None:
        trainer.load_state_dict(saved["trainer"])
        diagnosis.load_state_dict(saved["diagnosis"])
        patience.load_state_dict(saved.get("patience", {}))
        done = saved["alternations"]
    meter = AlignmentMeter(trial, done, beside_upper=how.scored == "upper")
    looks = min(MOST_BATCHES, trial.data.labelled_steps(settings.upper_batch))
    # The same streams whatever the stage is called: BiSSL and what it is compared with see the same images.
    with (
        trial.data.pretext_batches("bissl", settings.lower_batch, done * how.unlabelled_drawn) as unlabelled,
        trial.data.labelled("bissl", settings.upper_batch, done * settings.upper_steps) as labelled,
        trial.data.labelled("statistics", settings.upper_batch, done * looks) as seen,
    ):
        lower = _KeepsLast(unlabelled)
        for alternation in range(done + 1, settings.alternations + 1):
            report: AlternationReport | JointReport = trainer.alternation(lower, labelled)
            with trial.autocast():
                embeddings = measure_embeddings(models.pretext, models.lower, lower.last)
            with trial.autocast():
                reestimate_statistics([scored, models.downstream], partial(models.downstream.loss, scored), seen, looks)
            totals = trial.account.totals
            how.add_up(totals, report)
            totals["alternations"] = report.alternation
            totals["embedding_std"], totals["embedding_rank"] = embeddings.std, embeddings.rank
            way = settings.explore_by
            objective = totals["objective"] = (
                trial.score(how.scored) if way == "upper" else frozen_objective(trial, way)
            )
            measured = {"embedding_std": embeddings.std, "embedding_rank": embeddings.rank, "objective": objective}
            trial.account.report({"stage": how.stage, **asdict(report), **measured, **meter.after(alternation)})
            reason = diagnosis.look(report, embeddings)
            if reason is not None:
                raise TrialDiagnosedError(reason)
            if patience.ends(alternation, objective):
                break
            if alternation < settings.alternations:
                state = {
                    "alternations": alternation,
                    "diagnosis": diagnosis.state_dict(),
                    "patience": patience.state_dict(),
                }
                where = Step(how.stage, alternation, settings.alternations, "alternation")
                pause = alternation == trial.order.until
                trial.advance(where, lambda state=state: {"trainer": trainer.state_dict(), **state}, pause=pause)  # type: ignore[misc]
        with trial.autocast():
            reestimate_statistics(
                [models.lower], partial(models.pretext.features, models.lower), unlabelled, MOST_BATCHES
            )
    if how.scored == "lower":  # there is one backbone: what is scored as the upper model elsewhere is this one too
        models.upper.load_state_dict(models.lower.state_dict())
    trial.save_models("aligned", ("pretext", "downstream", "upper"))


class _KeepsLast(Iterator[Any]):
    """Passes batches on and keeps the last: after an alternation of BiSSL, the one that H was taken on.

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
