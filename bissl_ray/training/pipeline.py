"""A trial from order to result: its stages, one after another, from wherever it was interrupted."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from bissl_ray.fused import compiled_passes
from bissl_ray.progress import Sender, StageEnded
from bissl_ray.training.evaluation.scoring import evaluate_on_test, score_frozen, score_model
from bissl_ray.training.order import Order
from bissl_ray.training.out_of_memory import StageOutOfMemoryError, run_within_memory
from bissl_ray.training.precision import training_arithmetic
from bissl_ray.training.sparing import spared, sparing_order
from bissl_ray.training.stages.bissl import align
from bissl_ray.training.stages.finetune import finetune
from bissl_ray.training.stages.head import warm_up_head
from bissl_ray.training.stages.joint import train_jointly
from bissl_ray.training.stages.pretrain import pretrain
from bissl_ray.training.trial import Trial
from bissl_ray.training.worker import Worker

STAGES: dict[str, Callable[[Trial, Any], None]] = {
    "pretrain": pretrain,
    "head": warm_up_head,
    "bissl": align,
    "joint": train_jointly,
    "finetune": finetune,
    "test": evaluate_on_test,
    "score": score_model,
    "frozen": score_frozen,
}


def run_order(order: Order, worker: Worker, sender: Sender) -> dict[str, Any]:
    """Run a trial to its end (collective over its workers).

    Args:
        order: what to run.
        worker: this process among the trial's workers.
        sender: what the run speaks through, on every worker; may stop it.

    Returns:
        The trial's totals: objective, checkpoint, alternations, hvps, cg_residual, test_metric as far as its
        stages gave them; seconds, gpu_seconds, workers; first_step_at and ended_at, seconds since the epoch.

    Raises:
        TrialStoppedError: the sender said so.
        TrialPausedError: it has come to where its order has it pause.
        StageOutOfMemoryError: there is too little memory for a stage; with the order for a second try, if there is one.
        BadInputError: the settings and the workers don't fit together, or a file is damaged.
        Exception: whatever broke a stage.
    """
    within = partial(run_within_memory, settings=order.settings, workers=worker.world_size, device=worker.device)
    trial = within(partial(Trial, order, worker, sender), order.stages[0])
    if order.spared_after is not None:
        trial.spare(spared(trial.settings, trial.models.lower))
    try:
        first, saved = within(trial.begin, order.stages[0])
        trial.account.took_before(order.spared_after or 0.0)
        compiled = compiled_passes(trial.note if trial.settings.compile == "auto" else None)
        with training_arithmetic(trial.settings.precision), trial.replays.around(), compiled:
            for name in order.stages[order.stages.index(first) :]:
                within(partial(STAGES[name], trial, saved), name, settings=trial.settings)
                saved = None
                if worker.is_chief:
                    sender.send(StageEnded(name))
                following = order.stages[order.stages.index(name) + 1 :]
                if following:
                    trial.save_progress(following[0], lambda: None)
    except StageOutOfMemoryError as error:
        error.again = sparing_order(order, trial.models.lower, trial.account.seconds)
        raise
    finally:
        trial.data.close()
    # What it has saved stays: whoever asked for it removes that once its end is on disk.
    account = trial.account
    return {**account.so_far, **account.again, "first_step_at": trial.data.first_batch_at, "ended_at": time.time()}
