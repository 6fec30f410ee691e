"""What stands for the curvature where nothing is solved."""

from collections.abc import Sequence

from torch import Tensor

from bissl_ray.bilevel.operator import CurvatureOperator
from bissl_ray.parallel import Group


class NoCurvature(CurvatureOperator):
    """Loss and parameters without products: the identity asks for none, so that no graph is built for it.

    Args:
        loss: this worker's scalar.
        params: the lower backbone's parameters.
        group: the workers; None for all.
    """

    def __init__(self, loss: Tensor, params: Sequence[Tensor], group: Group = None) -> None:
        super().__init__(params, group)
        self.loss = loss.detach()

    def _own_product(self, vector: Tensor) -> Tensor:
        raise RuntimeError("there is no curvature to multiply by: this operator is for the identity")

    def close(self) -> None:
        """Nothing to free."""
