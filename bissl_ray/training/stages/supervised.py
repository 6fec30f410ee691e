"""Supervised steps on labelled samples: the head's warm-up and fine-tuning."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from bissl_ray.optim import WarmupCosine
from bissl_ray.parallel import mean_over_workers
from bissl_ray.training.worker import in_step


class SupervisedSteps:
    """SGD with momentum on a cosine schedule, gradients averaged over the workers."""

    def __init__(
        self,
        parameters: list[nn.Parameter],
        loss: Callable[[Any], Tensor],
        *,
        lr: float,
        momentum: float,
        weight_decay: float,
        clip_norm: float | None,
        total_steps: int,
    ):
        """Set up.

        Args:
            parameters: what is trained.
            loss: this worker's mean loss on its share of a batch.
            lr: peak learning rate.
            momentum: of SGD.
            weight_decay: of SGD.
            clip_norm: largest norm of the averaged gradient; None: no clipping.
            total_steps: length of the schedule.
        """
        self._parameters = parameters
        self._loss = loss
        self._lr = lr
        self._clip_norm = clip_norm
        self._schedule = WarmupCosine(max(total_steps, 1), 0)
        self._optimizer = torch.optim.SGD(parameters, lr=lr, momentum=momentum, weight_decay=weight_decay)
        self._total = torch.zeros((), device=parameters[0].device)
        self._counted = 0
        self.step = 0
        self.last_loss = self._total
        """Of the last step, over all workers; a tensor, so that only who looks waits for it."""

    def run_until(self, target: int, batches: Iterator[Any], between: Callable[[], None] = lambda: None) -> float:
        """Take steps up to a number; return the mean loss over them and the workers.

        Steps of the same stretch that an interrupted run took before `state_dict` count in the mean.

        Args:
            target: how many steps there shall have been in all.
            batches: this worker's.
            between: called after every step but the last.

        Raises:
            FloatingPointError: the loss is not finite; the same on every worker.
        """
        while self.step < target:
            for group in self._optimizer.param_groups:
                group["lr"] = self._lr * self._schedule.factor(self.step)
            loss = self._loss(next(batches))
            gradients = torch.autograd.grad(loss, self._parameters)
            *means, self.last_loss = mean_over_workers([*gradients, loss.detach()])
            for parameter, gradient in zip(self._parameters, means, strict=True):
                parameter.grad = gradient
            if self._clip_norm is not None:
                torch.nn.utils.clip_grad_norm_(self._parameters, self._clip_norm, foreach=True)
            self._optimizer.step()
            self._total += self.last_loss
            self._counted += 1
            self.step += 1
            if self.step < target:
                between()
        self._optimizer.zero_grad(set_to_none=True)
        mean = float(self._total) / max(self._counted, 1)
        self._total.zero_()
        self._counted = 0
        if not torch.isfinite(torch.tensor(mean)):
            raise in_step(FloatingPointError(f"the training loss is {mean} after {self.step} steps"))
        return mean

    def state_dict(self) -> dict[str, Any]:
        """What is needed to go on."""
        stretch = {"total": float(self._total), "counted": self._counted}
        return {"optimizer": self._optimizer.state_dict(), "step": self.step, **stretch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        self._optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]
        self._total.fill_(state["total"])
        self._counted = state["counted"]
