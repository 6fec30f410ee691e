"""The Hessian of the pretext loss, as an operator."""

from collections.abc import Sequence

from torch import Tensor

from bissl_ray.bilevel.gradient_graph import GradientGraph
from bissl_ray.bilevel.kept_curvature import KeptCurvature
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
