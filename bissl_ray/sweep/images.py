"""What a run of either pipeline costs in images: how many it trains on, each as often as it is drawn."""

from collections.abc import Mapping
from dataclasses import dataclass

from bissl_ray.config.settings import Settings
from bissl_ray.data.sampling import global_batch, steps_per_epoch


@dataclass(frozen=True)
class TrainingImages:
    """Images drawn for training steps and for the Hessians, over all workers.

    Attributes:
        labelled: by the head's warm-up, the upper level and fine-tuning.
        unlabelled: by the lower level; one counts once, whatever the number of its views.
    """

    labelled: int
    unlabelled: int


def images_of_run(settings: Settings, sizes: Mapping[str, int], workers: int, control: bool) -> TrainingImages:
    """Count the images of one whole run, from the head's warm-up to the end of fine-tuning.

    Args:
        settings: of the run; for the control those that it is given (see `experiment.control_settings`).
        sizes: images by split, "train" and "pretext" among them.
        workers: that share the run.
        control: whether it is plain fine-tuning, prolonged by what BiSSL's upper level sees.
    """
    train, pool = range(sizes["train"]), range(sizes["pretext"])
    upper = global_batch(len(train), settings.upper_batch, workers)
    tuned = global_batch(len(train), settings.finetune_batch, workers)
    head = settings.head_epochs * steps_per_epoch(train, settings.upper_batch, workers) * upper
    finetuning = settings.finetune_epochs * steps_per_epoch(train, settings.finetune_batch, workers) * tuned
    aligning = settings.alternations * settings.upper_steps * upper
    if control:
        return TrainingImages(head + finetuning + -(-aligning // tuned) * tuned, 0)
    drawn = settings.alternations * (settings.lower_steps + 1)  # the last of each alternation for the Hessian
    unlabelled = drawn * global_batch(len(pool), settings.lower_batch, workers)
    return TrainingImages(head + aligning + finetuning, unlabelled)
