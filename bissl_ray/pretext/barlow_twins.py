"""Barlow Twins: the views' cross-correlation matrix shall be the identity (Zbontar et al. 2021, equations 1 and 2)."""

import torch
from torch import Tensor, nn

from bissl_ray.parallel import BatchNormMode, Group, all_reduce_sum, convert_batch_norm, world_size
from bissl_ray.parallel.batch_norm_function import batch_norm as standardise
from bissl_ray.pretext.base import PretextTask, Views
from bissl_ray.pretext.heads import projection_head

_EPSILON = 1e-5


class BarlowTwins(PretextTask):
    """Each dimension of the embedding shall be the same in both views of an image, and unlike every other dimension.

    With C the correlations between the dimensions of the first and of the second view, over all workers' images:

        scale · (Σ over i of (1 − C_ii)² + redundancy · Σ over i ≠ j of C_ij²)

    Each view passes through the network, and is standardised, on its own, as in the authors' code. Correlations are
    those of the global batch, whatever `batch_norm` says.

    A sum over d² correlations is large, which LARS makes no difference to where it adapts the step, but it does where
    it doesn't (biases, norms), in clipping, and beside the proximity weight. The authors give biases and norms a
    learning rate of 0.0048 where weights have 0.2; the default scale of 0.024 makes one rate do both.

    Args:
        feature_dim: width of the backbone's features.
        projector_width: width of the projector's hidden layers.
        projector_output: d, width of the embeddings.
        barlow_redundancy: weight of the correlations between different dimensions.
        barlow_scale: weight of the whole loss.
        batch_norm: "synchronised" or "per_worker", for the projector.
    """

    def __init__(
        self,
        feature_dim: int,
        projector_width: int,
        projector_output: int,
        barlow_redundancy: float,
        barlow_scale: float,
        batch_norm: BatchNormMode,
    ) -> None:
        super().__init__()
        self.redundancy, self.scale = barlow_redundancy, barlow_scale
        self.projector = projection_head(feature_dim, projector_width, projector_output, hidden_bias=False)
        convert_batch_norm(self.projector, batch_norm)

    def compared(self, embeddings: Tensor) -> Tensor:
        """Standardised, as before they are correlated: less than 1 where they are too close to be told apart."""
        variance, mean = torch.var_mean(embeddings, dim=0, correction=0)
        return (embeddings - mean) * torch.rsqrt(variance + _EPSILON)

    def outputs(self, backbone: nn.Module, views: Views, group: Group = None) -> tuple[Tensor, Tensor]:
        """The cross-correlation matrix (d, d) over all workers' images, and the identity."""
        first, second = (self.projector(backbone(view)) for view in views)
        found = cross_correlation(first, second, group)
        return found, torch.eye(found.shape[0], dtype=found.dtype, device=found.device)

    def criterion(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Weighted sum of squared distances from the identity."""
        weights = targets + self.redundancy * (1 - targets)
        return self.scale * (weights * (outputs - targets).square()).sum()


def cross_correlation(first: Tensor, second: Tensor, group: Group = None) -> Tensor:
    """Correlations (d, d) of the first view's dimensions (rows) with the second's, over all workers' images.

    Args:
        first: embeddings of this worker's n images in one view, (n, d).
        second: in the other view, in the same order.
        group: the workers that share the global batch; n is the same on each.

    Returns:
        The same matrix on every worker, differentiable twice.
    """
    # Under autocast the network ends in bfloat16: too coarse for a sum over images.
    with torch.autocast(first.device.type, enabled=False):
        dtype = torch.promote_types(first.dtype, torch.float32)
        one, zero = (torch.full(first.shape[1:], value, dtype=dtype, device=first.device) for value in (1.0, 0.0))
        views = [standardise(view.to(dtype), one, zero, _EPSILON, group, True)[0] for view in (first, second)]
        return all_reduce_sum(views[0].T @ views[1], group) / (first.shape[0] * world_size(group))
