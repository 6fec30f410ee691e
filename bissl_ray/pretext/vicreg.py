"""VICReg: variance, invariance and covariance of the embeddings (Bardes, Ponce and LeCun 2022, equations 1 to 6)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bissl_ray.parallel import BatchNormMode, Group, all_reduce_sum, convert_batch_norm, world_size
from bissl_ray.pretext.base import PretextTask, Views
from bissl_ray.pretext.heads import projection_head

_EPSILON = 1e-4
_DEVIATION = 1.0


class VICReg(PretextTask):
    """The views of an image shall agree, while each dimension varies over images and no two of them vary together.

    With Z and Z' the embeddings of the two views, (N, d) over all workers:

        similarity · |Z − Z'|² / (N d) + variance · ½ (v(Z) + v(Z')) + covariance · (c(Z) + c(Z'))
        v(Z) = mean over dimensions of max(0, 1 − √(Var Z + 1e-4))
        c(Z) = sum of the squared covariances of different dimensions / d

    The mean of similarity and variance over dimensions and the ½ are those of the authors' code, which their weights
    25, 25 and 1 belong to. Each view passes through the network on its own, as there. Variances and covariances are
    those of the global batch, whatever `batch_norm` says.

    The Gauss-Newton matrix is cut at differences, standard deviations and covariances. A hinge of a deviation has no
    curvature of its own: G takes none from the variance term, whose Hessian by Z is never positive.

    Args:
        feature_dim: width of the backbone's features.
        projector_width: width of the projector's hidden layers.
        projector_output: d, width of the embeddings.
        vicreg_similarity: weight of the views' squared distance.
        vicreg_variance: weight of the dimensions' missing deviation.
        vicreg_covariance: weight of the squared covariances.
        batch_norm: "synchronised" or "per_worker", for the projector.
    """

    def __init__(
        self,
        feature_dim: int,
        projector_width: int,
        projector_output: int,
        vicreg_similarity: float,
        vicreg_variance: float,
        vicreg_covariance: float,
        batch_norm: BatchNormMode,
    ) -> None:
        super().__init__()
        self.similarity, self.variance, self.covariance = vicreg_similarity, vicreg_variance, vicreg_covariance
        self.projector = projection_head(feature_dim, projector_width, projector_output)
        convert_batch_norm(self.projector, batch_norm)

    def compared(self, embeddings: Tensor) -> Tensor:
        """Centred: where the embeddings lie is free, and the deviation that the loss asks for is 1."""
        return embeddings - embeddings.mean(0)

    def outputs(self, backbone: nn.Module, views: Views, group: Group = None) -> tuple[Tensor, Tensor]:
        """Differences of this worker's pairs, deviations and covariances of all; as of `statistics`."""
        return statistics(torch.stack([self.projector(backbone(view)) for view in views]), group)

    def criterion(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Squares of differences and covariances, and the hinge of each deviation below its target."""
        d = outputs.shape[1]
        differences, deviations, covariances = torch.split(outputs, [outputs.shape[0] - 2 - 2 * d, 2, 2 * d])
        itself = torch.eye(d, dtype=torch.bool, device=outputs.device).repeat(2, 1)
        distance = differences.square().mean()
        missing = F.relu(targets - deviations).mean()
        redundant = covariances.masked_fill(itself, 0).square().sum() / d
        return self.similarity * distance + self.variance * missing + self.covariance * redundant


def statistics(embeddings: Tensor, group: Group = None) -> tuple[Tensor, Tensor]:
    """What VICReg judges, as rows of width d.

    Args:
        embeddings: (2, n, d), both views of this worker's n images.
        group: the workers that share the global batch; n is the same on each.

    Returns:
        This worker's differences of the views (n rows); over all workers' images the standard deviations in each view
        (2 rows) and the covariances in each (2 d rows), differentiable to any order. And the deviations asked for,
        (2, d).
    """
    # Under autocast the network ends in bfloat16: too coarse for products of small deviations.
    with torch.autocast(embeddings.device.type, enabled=False):
        own = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
        count = own.shape[1] * world_size(group)
        centred = own - all_reduce_sum(own.sum(1, keepdim=True), group) / count
        covariances = all_reduce_sum(centred.mT @ centred, group) / (count - 1)
        deviations = (covariances.diagonal(dim1=1, dim2=2) + _EPSILON).sqrt()
        outputs = torch.cat([own[0] - own[1], deviations, covariances.flatten(0, 1)])
    return outputs, torch.full_like(deviations, _DEVIATION, requires_grad=False)
