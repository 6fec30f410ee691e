"""Both losses on one backbone: what BiSSL is compared with (issue 16, "joint training" and "continued pretraining")."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypedDict, TypeVar

import torch
from torch import Tensor

from bissl_ray.bilevel.level import Level, next_batch, trainable
from bissl_ray.bilevel.lower_level import lower_optimizer
from bissl_ray.bilevel.measurements import check_finite, mean, on_host
from bissl_ray.config.settings import BilevelSettings
from bissl_ray.optim import Stepper, StepperState, WarmupCosine
from bissl_ray.parallel import Group, copy_from_first_worker, frozen_statistics, mean_over_workers
from bissl_ray.replay import EAGER, Replays

Unlabelled = TypeVar("Unlabelled")
Labelled = TypeVar("Labelled")


@dataclass(frozen=True)
class JointReport:
    """Numbers of as many steps as BiSSL's lower level takes in an alternation: means, the same on all workers.

    Attributes:
        alternation: its number, from 1.
        lower_loss: pretext loss L_P.
        upper_loss: downstream loss L_D of the same backbone.
        lower_grad_norm: gradient norm of θ and φ_P before clipping, of both losses together.
        upper_grad_norm: gradient norm of φ_D before clipping.
        lower_lr: learning rate of the last step of θ and φ_P.
        upper_lr: learning rate of the last step of φ_D.
        cg_residual: None, nothing is solved.
        negative_curvature: 0 likewise.
    """

    alternation: int
    lower_loss: float
    upper_loss: float
    lower_grad_norm: float
    upper_grad_norm: float
    lower_lr: float
    upper_lr: float
    cg_residual: None = None
    negative_curvature: int = 0


class JointState(TypedDict):
    """What an interrupted run needs to go on, beside the modules."""

    alternations: int
    lower: StepperState
    upper: StepperState


class JointTrainer(Generic[Unlabelled, Labelled]):
    """Minimises L_P(θ, φ_P) + w L_D(θ, φ_D), on as many images of both kinds as BiSSL draws for its steps.

    θ and φ_P step as BiSSL's lower level does, without its proximity term, and φ_D as its upper level does. A step
    takes one unlabelled batch; the labelled ones are spread over the steps evenly. Where several fall on one step, φ_D
    steps after each, and θ takes the sum of their gradients.

    Args:
        lower: θ, φ_P and L_P.
        upper: φ_D and L_D; its backbone is θ too.
        settings: of the run.
        weight: w; None: labels move φ_D alone, so that θ is pretrained further and its head kept up with it.
        group: the workers.
        replays: records the losses with their gradients; the rest of a step stays outside (`Replayed`).
    """

    def __init__(
        self,
        lower: Level[Unlabelled],
        upper: Level[Labelled],
        settings: BilevelSettings,
        weight: float | None,
        group: Group = None,
        replays: Replays = EAGER,
    ) -> None:
        self._lower, self._upper, self._weight, self._group = lower, upper, weight, group
        self._modules = (lower.backbone, lower.head, upper.head)
        for module in self._modules:
            copy_from_first_worker([*module.parameters(), *module.buffers()], group)
        self._theta, self._phi_p, self._phi_d = map(trainable, (lower.backbone, lower.head, upper.head))
        self._steps, self._labelled_steps = settings.lower_steps, settings.upper_steps
        self._steps_in_all = settings.alternations * settings.lower_steps
        self._alternations = 0
        self._pretext_gradients = replays.of(self._of_pretext, "the pretext step")
        self._task_gradients = replays.of(self._of_task, "the labelled step")
        self._lower_stepper = Stepper(
            lower_optimizer(lower, settings),
            [*self._theta, *self._phi_p],
            WarmupCosine(self._steps_in_all, settings.lower_warmup * settings.lower_steps),
            settings.clip_norm,
        )
        self._upper_stepper = Stepper(
            torch.optim.SGD(
                self._phi_d,
                lr=settings.upper_lr,
                momentum=settings.upper_momentum,
                weight_decay=settings.upper_weight_decay,
            ),
            self._phi_d,
            WarmupCosine(settings.alternations * settings.upper_steps, warmup_steps=0),
            settings.clip_norm,
        )

    def alternation(self, unlabelled: Iterator[Unlabelled], labelled: Iterator[Labelled]) -> JointReport:
        """Take the steps of the next one; all modules are put in training mode.

        Args:
            unlabelled: gives this worker's shares; `lower_steps` are taken.
            labelled: likewise; `upper_steps` are taken.

        Raises:
            DivergedError: a loss or a gradient is not finite; raised on all workers.
            ValueError: the batches ran out.
        """
        for module in self._modules:
            module.train()
        first, first_labelled = self._lower_stepper.steps, self._upper_stepper.steps
        of_pretext: list[tuple[Tensor, Tensor]] = []
        of_task: list[tuple[Tensor, Tensor]] = []
        for step in range(self._steps):
            loss, own = self._pretext_gradients(next_batch(unlabelled, "unlabelled"))
            gradients = mean_over_workers(own, self._group)
            for _ in range(self._labelled_on(step)):
                of_task.append(self._labelled_step(next_batch(labelled, "labelled"), gradients))
            progress = self._lower_stepper.steps / self._steps_in_all
            of_pretext.append((loss, self._lower_stepper.step(gradients)))
            if self._lower.after_step is not None:
                with torch.no_grad():
                    self._lower.after_step(progress)
        losses, norms = on_host(list(zip(*of_pretext, strict=True)), self._group)
        task_losses, head_norms = on_host(list(zip(*of_task, strict=True)), self._group)
        check_finite("lower", first, {"lower loss": losses, "lower gradient norm": norms})
        check_finite("upper", first_labelled, {"upper loss": task_losses, "upper gradient norm": head_norms})
        self._alternations += 1
        return JointReport(
            alternation=self._alternations,
            lower_loss=mean(losses),
            upper_loss=mean(task_losses),
            lower_grad_norm=mean(norms),
            upper_grad_norm=mean(head_norms),
            lower_lr=self._lower_stepper.lr,
            upper_lr=self._upper_stepper.lr,
        )

    def state_dict(self) -> JointState:
        """Optimizers and step counters; the modules' own states are the caller's to save."""
        lower, upper = self._lower_stepper.state_dict(), self._upper_stepper.state_dict()
        return {"alternations": self._alternations, "lower": lower, "upper": upper}

    def load_state_dict(self, state: JointState) -> None:
        """Continue from what `state_dict` returned, once the modules' own states are loaded."""
        self._alternations = state["alternations"]
        self._lower_stepper.load_state_dict(state["lower"])
        self._upper_stepper.load_state_dict(state["upper"])

    def _labelled_on(self, step: int) -> int:
        """How many labelled batches fall on a step of an alternation."""
        before, after = (n * self._labelled_steps // self._steps for n in (step, step + 1))
        return after - before

    def _labelled_step(self, batch: Labelled, gradients: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Step φ_D, and add to what θ will step by; the loss on this worker, and φ_D's gradient norm."""
        loss, own = self._task_gradients(batch)
        means = mean_over_workers(own, self._group)
        of_theta, of_head = means[: -len(self._phi_d)], means[-len(self._phi_d) :]
        if self._weight is not None:
            size = len(self._theta)
            gradients[:size] = torch._foreach_add(gradients[:size], of_theta, alpha=self._weight)
        return loss, self._upper_stepper.step(of_head)

    def _of_pretext(self, batch: Unlabelled) -> tuple[Tensor, tuple[Tensor, ...]]:
        loss = (self._lower.step_loss or self._lower.loss)(self._lower.backbone, batch)
        return loss.detach(), torch.autograd.grad(loss, [*self._theta, *self._phi_p])

    def _of_task(self, batch: Labelled) -> tuple[Tensor, tuple[Tensor, ...]]:
        """L_D and its gradients; the backbone's running statistics stay those of pretext data, as in BiSSL."""
        with frozen_statistics(self._lower.backbone):
            loss = self._upper.loss(self._lower.backbone, batch)
        wanted = self._phi_d if self._weight is None else [*self._theta, *self._phi_d]
        return loss.detach(), torch.autograd.grad(loss, wanted, materialize_grads=True)
