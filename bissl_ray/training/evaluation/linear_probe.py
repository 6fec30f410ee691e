"""A linear probe: the best linear head on frozen features, its penalty chosen on the validation split."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from bissl_ray.downstream import LinearTask, refuse_no_images
from bissl_ray.errors import BadInputError
from bissl_ray.metrics import METRICS
from bissl_ray.parallel import Group, all_reduce_sum, copy_from_first_worker, rank
from bissl_ray.training.evaluation.features import Features
from bissl_ray.training.precision import exact_arithmetic

PENALTIES: Final = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
"""Penalties that are tried, the largest first: each fit starts from the one before."""
_MOST_ITERATIONS: Final = 500
_ROUNDING: Final = 1e-6
_VALUES_AT_ONCE: Final = 2**24


@dataclass(frozen=True)
class LinearProbe:
    """A fitted head and how it was chosen.

    Attributes:
        task: a copy of the task with the fitted head; takes features as the backbone gives them.
        penalty: the chosen weight of ½‖W‖², W the head's weights on standardised features.
        validation: the choosing metric on the validation split, in [0, 1], for each penalty tried.
    """

    task: LinearTask
    penalty: float
    validation: dict[float, float]


def linear_probe(
    train: Features,
    validation: Features,
    task: LinearTask,
    metric: str,
    penalties: Sequence[float] = PENALTIES,
    group: Group = None,
) -> LinearProbe:
    """Fit logistic regression, or one per class where images show several, and choose its penalty (collective).

    Minimises the mean loss of the task over the training images plus penalty · ½‖W‖² by L-BFGS, in double precision;
    the bias is not penalised. Features are standardised by their training mean and deviation, so that a penalty
    means the same for every backbone. Equally good penalties: the largest. The head is not refitted on the
    validation images. Nothing is random. Each worker keeps to its share, and worker 0 decides each step by the sums of
    all: unlike devices round differently, and one that stopped a step earlier would leave the others waiting.

    Args:
        train: this worker's share of the training images, without augmentation.
        validation: this worker's share of the validation images.
        task: gives loss and figures; its weights are not used.
        metric: the figure that chooses, as "top1".
        penalties: what to try, above 0.
        group: the workers that share the splits.

    Raises:
        BadInputError: no training or validation images, or a penalty that is not above 0.
    """
    if not penalties or min(penalties) <= 0:
        raise BadInputError(f"the penalties of the linear probe are {list(penalties)}; expected numbers above 0")
    problem = _Problem(train, task, group)
    weights = torch.zeros(task.classes, task.head.in_features + 1, dtype=torch.float64, device=train.rows.device)
    fitted: dict[float, LinearTask] = {}
    scores: dict[float, float] = {}
    for penalty in sorted(penalties, reverse=True):
        weights = problem.minimise(weights, penalty)
        fitted[penalty] = problem.head(weights)
        score = weights.new_tensor([probe_metrics(fitted[penalty], validation, group)[metric]])
        copy_from_first_worker([score], group)
        scores[penalty] = float(score)
    best = max(scores, key=lambda penalty: METRICS[metric].objective(scores[penalty]))  # the first of equals
    return LinearProbe(fitted[best], best, scores)


def probe_metrics(task: LinearTask, judged: Features, group: Group = None) -> dict[str, float]:
    """Every figure of a head on this worker's share of some features, as `LinearTask.evaluate` (collective)."""
    with exact_arithmetic():
        return task.evaluate(nn.Identity(), [(judged.rows, judged.labels)] if len(judged) else [], group)


class _Problem:
    """The penalised loss over all workers' training features, standardised.

    The features stay as they are, and are standardised a part at a time: those of ImageNet under a ResNet-50 are 10 GB
    in single precision, and several copies in double precision would be more than most machines have.
    """

    def __init__(self, train: Features, task: LinearTask, group: Group) -> None:
        self._rows, self._labels, self._task, self._group = train.rows, train.labels, task, group
        zero = train.rows.new_zeros(train.rows.shape[1], dtype=torch.float64)
        self._images = float(all_reduce_sum(zero.new_tensor(float(len(train))), group))
        if self._images == 0:
            raise refuse_no_images()
        parts = self._parts(train.rows)
        self._mean = all_reduce_sum(sum((part.double().sum(dim=0) for part in parts), zero), group) / self._images
        squares = sum(((part.double() - self._mean).square().sum(dim=0) for part in parts), zero)
        deviation = (all_reduce_sum(squares, group) / self._images).sqrt()
        # A feature that never changes, but for rounding, stays 0 and has no say.
        self._deviation = deviation.where(deviation > _ROUNDING * self._mean.abs(), 1)
        copy_from_first_worker([self._mean, self._deviation], group)

    def _parts(self, of_images: Tensor) -> tuple[Tensor, ...]:
        """Cut into as many images as have their features held in double precision at a time."""
        return torch.split(of_images, max(1, _VALUES_AT_ONCE // self._rows.shape[1]))

    def _own_loss(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """This worker's part of the mean loss, and its gradient (classes, feature_dim + 1)."""
        loss, gradient = weights.new_zeros(()), torch.zeros_like(weights)
        leaf = weights.detach().requires_grad_()
        for rows, labels in zip(self._parts(self._rows), self._parts(self._labels), strict=True):
            standardised = (rows.double() - self._mean) / self._deviation
            with torch.enable_grad():
                scores = standardised @ leaf[:, :-1].T + leaf[:, -1]
                part = self._task.loss_of_scores(scores, labels).sum() / self._images
            gradient += torch.autograd.grad(part, [leaf])[0]
            loss += part.detach()
        return loss, gradient

    def minimise(self, start: Tensor, penalty: float) -> Tensor:
        """The weights (classes, feature_dim + 1) of the smallest penalised loss, the bias last."""
        weights = start.clone()
        if rank(self._group) == 0:
            self._descend(weights, penalty)
            self._agreed(weights, goes_on=False)
        else:
            while self._agreed(weights, goes_on=True):
                self._loss_and_gradient(weights)
        return weights

    def _descend(self, weights: Tensor, penalty: float) -> None:
        """Worker 0's part: L-BFGS on `weights`, in place; the others answer each of its questions."""
        point = nn.Parameter(weights)
        optimizer = torch.optim.LBFGS(
            [point],
            max_iter=_MOST_ITERATIONS,
            tolerance_grad=1e-9,
            tolerance_change=1e-14,
            history_size=20,
            line_search_fn="strong_wolfe",
        )

        def objective() -> float:
            self._agreed(weights, goes_on=True)
            both = self._loss_and_gradient(weights)
            penalised = weights.clone()
            penalised[:, -1] = 0
            point.grad = both[:-1].view_as(weights) + penalty * penalised
            return float(both[-1] + penalty / 2 * penalised.square().sum())

        optimizer.step(objective)  # type: ignore[no-untyped-call]

    def _agreed(self, weights: Tensor, goes_on: bool) -> bool:
        """Overwrite the weights by worker 0's; whether that one goes on (collective)."""
        message = torch.cat([weights.flatten(), weights.new_tensor([float(goes_on)])])
        copy_from_first_worker([message], self._group)
        weights.copy_(message[:-1].view_as(weights))
        return bool(message[-1])

    def _loss_and_gradient(self, weights: Tensor) -> Tensor:
        """The gradient of the loss over everybody's images, flat, and behind it the loss; no penalty (collective)."""
        own, gradient = self._own_loss(weights)
        return all_reduce_sum(torch.cat([gradient.flatten(), own[None]]), self._group)

    def head(self, weights: Tensor) -> LinearTask:
        """The task with these weights, brought back to features as they are before standardising."""
        task = copy.deepcopy(self._task).requires_grad_(False)
        scaled = weights[:, :-1] / self._deviation
        task.head.weight.copy_(scaled)
        task.head.bias.copy_(weights[:, -1] - scaled @ self._mean)
        return task
