"""Few labelled images make epochs of few steps, which leaves every side short: said before it starts (issue 16)."""

from typing import Final

from bissl_ray.config.requests import SweepRequest
from bissl_ray.data.sampling import steps_per_epoch
from bissl_ray.preflight.data import DataFacts

_FEW: Final = 50
"""Steps. On Fashion-MNIST with 30 labelled images, fine-tuning of 20 steps was 3.7 points behind one of 1,400."""


def notes_on_steps(request: SweepRequest, facts: DataFacts) -> tuple[str, ...]:
    """A line where the head's warm-up or fine-tuning is only a few steps long, at the most that the space allows."""
    space, images = request.space, range(facts.sizes["train"])
    short = []
    for stage, epochs, batch in (
        ("the head", "head_epochs", "upper_batch"),
        ("fine-tuning", "finetune_epochs", "finetune_batch"),
    ):
        each = steps_per_epoch(images, space.largest(batch), request.workers_per_trial)
        if 0 < (steps := each * space.largest(epochs)) < _FEW:
            short.append((stage, f"{steps} step{'' if steps == 1 else 's'}", epochs))
    if not short:
        return ()
    told = " and ".join(f"{stage} {steps}" for stage, steps, _ in short)
    names = " and ".join(name for *_, name in short)
    return (
        f"{len(images)} training images leave {told}, few enough to hold BiSSL and its controls back: raise {names}",
    )
