"""The two matrices that stand for the curvature of the pretext loss, as operators: its Hessian, and Gauss-Newton's."""

from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor

from bissl_ray.bilevel.curvature.graphs import GradientGraph, OutputGraph
from bissl_ray.bilevel.curvature.operator import KeptCurvature, RecomputedCurvature
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


class GaussNewton(KeptCurvature):
    """Products with G = Jᵀ (∇² criterion) J on one lower batch (Schraudolph 2002; Martens 2010).

    G is the Hessian without the curvature of the outputs themselves, weighted by the criterion's slopes; the two are
    equal where the outputs are linear in θ, or fit perfectly. Where the criterion is convex, G is positive
    semi-definite, so that M + G is positive definite and conjugate gradients meet no negative curvature. A product
    runs two passes of two convolutions per layer (J, then Jᵀ), against six for a Hessian's.

    The global loss is the MEAN over workers of each worker's criterion, and G that of one process on the global
    batch, to rounding, provided that the outputs were built from the differentiable collectives of
    `bissl_ray.parallel`.

    Args:
        outputs: this worker's, of any shape, with their graph, built on bare modules (no DDP).
        criterion: this worker's scalar loss of its outputs, convex in them.
        params: the lower backbone's parameters, all of one dtype on one device.
        group: the workers; None for all.

    Raises:
        ValueError: outputs without graph, a parameter that they don't use, a criterion that is not a scalar or does
            not depend on the outputs, or parameters of several dtypes.
    """

    def __init__(
        self,
        outputs: Tensor,
        criterion: Callable[[Tensor], Tensor],
        params: Sequence[Tensor],
        group: Group = None,
    ) -> None:
        super().__init__(OutputGraph(outputs, criterion, params), params, group)
