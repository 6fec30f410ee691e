"""The Hessian of the pretext loss, rebuilt for every product."""

from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor

from bissl_ray.bilevel.gradient_graph import GradientGraph
from bissl_ray.bilevel.recomputed_curvature import RecomputedCurvature
from bissl_ray.parallel import Group


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
