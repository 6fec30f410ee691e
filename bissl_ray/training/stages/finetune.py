"""Fine-tuning on the labelled images: backbone and head together, or the head alone."""

from contextlib import nullcontext
from functools import partial

from torch import Tensor

from bissl_ray.bilevel.lower_level import ProximityTerm
from bissl_ray.config.settings import finetune_marks
from bissl_ray.models.base import Backbone
from bissl_ray.progress import Step
from bissl_ray.training.evaluation.likeness import relative_distance, weights_of
from bissl_ray.training.evaluation.statistics import average_statistics
from bissl_ray.training.stages.head import frozen
from bissl_ray.training.stages.steps import StageSteps, StepsState, plain_sgd
from bissl_ray.training.trial import Trial
from bissl_ray.words import ALIGNING


def finetune(trial: Trial, saved: StepsState | None) -> None:
    """Train θ and φ_D, or φ_D alone (`finetune_part`); afterwards the "lower" backbone is the fine-tuned one.

    It begins at θ, or at θ_D (`finetune_from`), with φ_D: with no step to take, that model itself is what is scored. A
    backbone that stands still gives its features in evaluation mode, as in the head's warm-up.

    The objective is that of the last step: choosing the best of many looks would flatter every run, and the
    longer ones most.
    """
    settings, models = trial.settings, trial.models
    steps = settings.finetune_epochs * trial.data.labelled_steps(settings.finetune_batch)
    images = settings.finetune_extra_images
    if trial.order.with_upper_budget:
        images += settings.alternations * settings.upper_steps * trial.data.labelled_batch(settings.upper_batch)
    steps += -(-images // trial.data.labelled_batch(settings.finetune_batch))
    still = settings.finetune_part == "head"
    if saved is None and settings.finetune_from == "upper":
        models.lower.load_state_dict(models.upper.state_dict())
    models.lower.train(not still)
    models.downstream.train()
    start = _start(trial, saved)
    run = fine_tuning(trial, steps)
    run.go_on(saved)

    def report(loss: float) -> None:
        # Even a mean of equal numbers may round: what stands still is left alone.
        average_statistics(*([] if still else [models.lower]), models.downstream)
        row = {"stage": "finetune", "epoch": run.epoch, "finetune_step": run.step, "train_loss": loss}
        if start is not None:
            row["moved"] = trial.account.totals["moved"] = relative_distance(models.lower, start)
        row["objective"] = trial.account.totals["objective"] = trial.score("lower")
        trial.account.report(row)

    held = frozen(models.lower) if still else nullcontext()
    with trial.data.labelled("finetune", settings.finetune_batch, run.step) as batches, held:
        run.run(batches, finetune_marks(steps, settings.finetune_reports), report)
    if trial.order.keep_models:
        unmoved = "those that fine-tuning began with" if still or not steps else None
        trial.save_models("finetuned", ("downstream",), statistics=unmoved)


def _start(trial: Trial, saved: StepsState | None) -> list[Tensor] | None:
    """The backbone's parameters where fine-tuning starts, on the CPU: one more copy, 94 MB of a ResNet-50.

    After an interruption they are read from the file that it started from; None where that is gone, or there was none.
    """
    if saved is None:
        return weights_of(trial.models.lower)
    order = trial.order
    path = f"{order.folder}/aligned.pt" if {*order.stages} & {*ALIGNING} else order.start
    content = None if order.fresh else trial.read(path)
    if content is None:
        return None
    upper = trial.settings.finetune_from == "upper"
    began = {**content, "backbone": content.get("upper") or content["backbone"]} if upper else content
    return weights_of(trial.models.backbone_of(began))


def fine_tuning(trial: Trial, steps: int) -> StageSteps:
    """So many steps of `finetune`, at their beginning."""
    settings, models = trial.settings, trial.models
    per_epoch = trial.data.labelled_steps(settings.finetune_batch)
    head = list(models.downstream.parameters())
    backbone = [] if settings.finetune_part == "head" else list(models.lower.parameters())
    rates = falling_rates(models.lower, settings.finetune_layer_decay) if backbone else []
    stepper = plain_sgd(
        [*backbone, *head],
        steps,
        settings.clip_norm,
        settings.finetune_warmup * per_epoch,
        [*rates, *[1.0] * len(head)],
        lr=settings.finetune_lr,
        momentum=settings.finetune_momentum,
        weight_decay=settings.finetune_weight_decay,
    )
    length = Step("finetune", 0, steps, "epoch", per_epoch)
    near = near_start(models.lower, settings.finetune_l2_sp) if backbone else None
    return StageSteps(trial, length, partial(trial.downstream_loss, models.lower), stepper, near=near)


def near_start(backbone: Backbone, weight: float) -> ProximityTerm | None:
    """α/2 ‖θ − θ₀‖², weight decay towards where fine-tuning starts: L2-SP (Li, Grandvalet and Davoine 2018, eq. 2).

    Of the backbone alone; what the paper lets decay to 0, the new layers, is the head here.

    Args:
        backbone: where it is now is θ₀.
        weight: α; 0: nothing holds it.
    """
    if not weight:
        return None
    trained = list(backbone.parameters())
    return ProximityTerm(trained, [parameter.detach().clone() for parameter in trained], [weight] * len(trained))


def falling_rates(backbone: Backbone, decay: float) -> list[float]:
    """Factor on the learning rate of each of a backbone's parameter tensors, in the module's order (issue 16).

    Rates that fall with depth below the head, as in ULMFiT (Howard and Ruder 2018, section 3.2), by parts of the
    backbone in place of layers: decay for the last part, decay² for the one before it.

    Args:
        backbone: all of its parameters are trained.
        decay: in (0, 1].
    """
    below = {part: depth for depth, part in enumerate(reversed(backbone.parts), start=1)}
    return [decay ** below[part] for part in backbone.parameter_parts()]
