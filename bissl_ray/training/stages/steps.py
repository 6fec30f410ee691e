"""The steps of a stage that trains with one loss: pretraining, the head's warm-up, fine-tuning."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NotRequired, TypedDict

import torch
from torch import Tensor, nn

from bissl_ray.bilevel.lower_level import ProximityTerm
from bissl_ray.optim import Stepper, WarmupCosine
from bissl_ray.parallel import mean_over_workers
from bissl_ray.progress import Step
from bissl_ray.training.trial import Trial
from bissl_ray.training.worker import in_step


class StepsState(TypedDict):
    """What an interrupted stage needs to go on, beside the models.

    Attributes:
        optimizer: its own state.
        step: how many steps were taken.
        total: sum of the losses since the last report.
        counted: how many these are; files of earlier versions lack it where a stage reports once an epoch.
        start: where the stage began, of one that is held near that; tensors as its term's anchors.
    """

    optimizer: dict[str, Any]
    step: int
    total: float
    counted: int
    start: NotRequired[list[Tensor]]


class StageSteps:
    """Gradients averaged over the workers, and between the steps a word of where the stage is, which is saved too.

    Args:
        trial: whose stage it is.
        length: the stage's name, and of how many steps.
        loss: this worker's mean loss on its share of a batch; a parameter that it doesn't use has the gradient 0.
        stepper: of what is trained.
        after_step: called after each step, with the share of the stage's steps that came before it.
        near: holds the first of the stepper's parameters near where the stage began; None: nothing does. The loss that
            is reported is without it.
    """

    def __init__(
        self,
        trial: Trial,
        length: Step,
        loss: Callable[[Any], Tensor],
        stepper: Stepper,
        after_step: Callable[[float], None] = lambda _: None,
        near: ProximityTerm | None = None,
    ) -> None:
        self._trial, self._length, self._loss, self._stepper = trial, length, loss, stepper
        self._after_step, self._near = after_step, near
        self._gradients = trial.replays.of(self._loss_and_gradients, f"the step of stage {length.stage}")
        self._total = torch.zeros((), device=trial.worker.device)
        self._counted = 0
        # A tensor, so that only who looks waits for it.
        self._last_loss = self._total

    @property
    def step(self) -> int:
        """How many steps were taken."""
        return self._stepper.steps

    @property
    def epoch(self) -> int:
        """The number of the epoch that the last step belongs to, from 1; 0 before the first step."""
        return -(-self.step // self._length.per_epoch)

    def go_on(self, saved: StepsState | None) -> None:
        """Go on from `state_dict`; None: from the beginning."""
        if saved is not None:
            self._stepper.load_state_dict({"optimizer": saved["optimizer"], "steps": saved["step"]})
            self._total.fill_(saved["total"])
            self._counted = saved.get("counted", saved["step"] % self._length.per_epoch)
            if self._near is not None:
                # The models have moved since: where they began is in the saved state alone.
                for anchor, began in zip(self._near.anchors, saved["start"], strict=True):
                    anchor.copy_(began)

    def state_dict(self) -> StepsState:
        """What is needed to go on."""
        optimizer = self._stepper.state_dict()["optimizer"]
        state: StepsState = {
            "optimizer": optimizer,
            "step": self.step,
            "total": float(self._total),
            "counted": self._counted,
        }
        return state if self._near is None else {**state, "start": list(self._near.anchors)}

    def run(self, batches: Iterator[Any], marks: Iterable[int], report: Callable[[float], None]) -> None:
        """Take the steps that are left.

        Args:
            batches: this worker's.
            marks: after which steps to report, in order; the last ends the stage. A stage of 0 steps reports once.
            report: called there with the mean loss over the steps since the mark before and over the workers; steps
                that an interrupted run took count in it.

        Raises:
            FloatingPointError: the loss is not finite; the same on every worker.
            TrialStoppedError: a wish to stop; where the stage is has been saved.
        """
        for mark in marks:
            if mark > self.step or not self._length.total:
                report(self._mean_until(mark, batches))
                self._advance()

    def _mean_until(self, target: int, batches: Iterator[Any]) -> float:
        while self.step < target:
            loss, gradients = self._gradients(next(batches))
            *means, self._last_loss = mean_over_workers([*gradients, loss])
            before = self.step
            self._stepper.step(means if self._near is None else self._near.added_to(means))
            self._after_step(before / self._length.total)
            self._total += self._last_loss
            self._counted += 1
            if self.step < target:
                self._advance()
        mean = float(self._total) / max(self._counted, 1)
        self._total.zero_()
        self._counted = 0
        self.refuse_unless_finite("pretext loss" if self._length.stage == "pretrain" else "training loss", mean)
        return mean

    def _loss_and_gradients(self, batch: Any) -> tuple[Tensor, tuple[Tensor, ...]]:
        loss = self._loss(batch)
        return loss.detach(), torch.autograd.grad(loss, self._stepper.parameters, materialize_grads=True)

    def _advance(self) -> None:
        if self.step < self._length.total:
            self._trial.advance(replace(self._length, done=self.step), self.state_dict, self._last_loss)

    def refuse_unless_finite(self, quantity: str, value: float) -> None:
        """Raise FloatingPointError for a value that is not finite; the same on every worker."""
        stage, settings = self._length.stage, self._trial.settings
        if not math.isfinite(value):
            longer = f" or a longer {stage}_warmup" if hasattr(settings, f"{stage}_warmup") else ""
            raise in_step(
                FloatingPointError(
                    f"the {quantity} is {value} in epoch {self.epoch} of stage {stage}: try a smaller {stage}_lr "
                    f"(now {getattr(settings, f'{stage}_lr'):g}){longer}"
                )
            )


def plain_sgd(
    parameters: list[nn.Parameter],
    steps: int,
    clip_norm: float | None,
    warmup_steps: int = 0,
    rates: Sequence[float] | None = None,
    **options: float,
) -> Stepper:
    """SGD on a cosine schedule.

    Args:
        parameters: what is trained.
        steps: length of the schedule.
        clip_norm: largest norm of the averaged gradient; None: no clipping.
        warmup_steps: steps in which the rate rises.
        rates: factor on the rate of each parameter; None: one rate for all.
        options: of torch.optim.SGD, "lr" among them.
    """
    # One group where one will do: what was saved before there were rates still loads.
    groups: list[Any] = list(parameters)
    if rates is not None and len(set(rates)) > 1:
        by_rate: dict[float, list[nn.Parameter]] = {}
        for parameter, rate in zip(parameters, rates, strict=True):
            by_rate.setdefault(rate, []).append(parameter)
        groups = [{"params": members, "lr": options["lr"] * rate} for rate, members in by_rate.items()]
    optimizer = torch.optim.SGD(groups, **options)  # type: ignore[arg-type]
    return Stepper(optimizer, parameters, WarmupCosine(max(steps, 1), warmup_steps), clip_norm)
