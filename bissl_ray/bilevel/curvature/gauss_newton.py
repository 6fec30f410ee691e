"""The generalised Gauss-Newton matrix of the pretext loss, as an operator."""

from collections.abc import Callable, Sequence

from torch import Tensor

from bissl_ray.bilevel.curvature.graphs import OutputGraph
from bissl_ray.bilevel.curvature.operators import KeptCurvature
from bissl_ray.parallel import Group


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
