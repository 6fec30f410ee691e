"""The Hessian of the pretext loss, as an operator: from a graph that is kept, or rebuilt for every product."""

from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor

from bissl_ray.bilevel.curvature.graphs import GradientGraph
from bissl_ray.bilevel.curvature.operators import KeptCurvature, RecomputedCurvature
from bissl_ray.parallel import Group, mean_over_workers


class LowerHessian(KeptCurvature):
    """Products with H = ∇²_θ L_P on one lower batch, from a gradient graph that is built once.

    The global loss is the MEAN over workers of each worker's loss; gradient and products are those of one
    process on the global batch, to rounding, provided that the loss was built from the differentiable
    collectives of `bissl_ray.parallel`. Each product is one reverse pass through the kept graph and one
    all-reduce.

    Args:
        loss: this worker's scalar, with its graph, built on bare modules (no DDP).
        params: the lower backbone's parameters, all of one dtype on one device.
        group: the workers; None for all.

    Attributes:
        gradient: ∇_θ of the global loss, a tuple of tensors shaped as `params`, without graph.

    Raises:
        ValueError: a loss that is not a scalar or has no graph, parameters of several dtypes, or a parameter
            that the loss doesn't use.
    """

    def __init__(self, loss: Tensor, params: Sequence[Tensor], group: Group = None) -> None:
        graph = GradientGraph(loss, params)
        super().__init__(graph, params, group)
        self.gradient = tuple(mean_over_workers(graph.gradient(), group))


class RecomputedHessian(RecomputedCurvature):
    """Products with H of the mean of some losses, as `LowerHessian`, but in the way of `RecomputedCurvature`.

    Args:
        losses: each builds this worker's scalar afresh, the same whenever it is called.
        params: the lower backbone's parameters, all of one dtype on one device.
        group: the workers; None for all.

    Raises:
        ValueError: no losses, or as `LowerHessian`.
    """

    def __init__(self, losses: Sequence[Callable[[], Tensor]], params: Sequence[Tensor], group: Group = None) -> None:
        super().__init__([partial(_graph, loss, params) for loss in losses], params, group)


def _graph(loss: Callable[[], Tensor], params: Sequence[Tensor]) -> GradientGraph:
    return GradientGraph(loss(), params)
