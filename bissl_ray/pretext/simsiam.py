"""SimSiam: predict one view's embedding from the other view; no target network (Chen and He 2021, equation 2)."""

import torch
from torch import Tensor, nn

from bissl_ray.parallel import BatchNormMode, Group, convert_batch_norm
from bissl_ray.pretext.base import PretextTask, Views
from bissl_ray.pretext.heads import projection_head, unit_rows

_BOTTLENECK = 4


class SimSiam(PretextTask):
    """Predictions p of each view are turned towards the other view's embedding z, through which no gradient flows.

    The loss is ℓ(p(θ), z), the mean of −cos; a step follows g(θ) = ∂ℓ/∂θ with z held fixed. What H is, is a choice:

    - the Hessian of ℓ with z held fixed, ∂²ℓ/∂θ²: symmetric, and what differentiating twice through the detached z
      gives. It is taken here, as in BYOL, whose target moves only after a step.
    - the Jacobian of g along the whole path of θ: with t the z that θ gives, it has ∂g/∂t · ∂t/∂θ besides, which is
      not symmetric. Solvers for symmetric systems can't take it, and it is left out.
    - the Hessian of ℓ with z moving and differentiated: that of another loss, the one that collapses.

    The choice agrees with the paper's reading of SimSiam as alternating minimisation (section 5.1): z is a variable of
    its own, constant while θ is optimised.

    Images are not compared with each other, hence nothing is gathered. Each view passes through on its own.
    The criterion is ½ |p − z|² − 1 of unit vectors, which is −cos, and convex: the Gauss-Newton matrix is H where
    predictions are perfect; −cos itself is linear in p and would leave it zero.

    Args:
        feature_dim: width of the backbone's features.
        projector_width: width of the projector's hidden layers.
        projector_output: d, width of the embeddings; the predictor's hidden layer has a quarter of it.
        batch_norm: "synchronised" or "per_worker", for the head.
    """

    def __init__(
        self, feature_dim: int, projector_width: int, projector_output: int, batch_norm: BatchNormMode
    ) -> None:
        super().__init__()
        self.projector = _projector(feature_dim, projector_width, projector_output)
        self.predictor = _predictor(projector_output)
        convert_batch_norm(self.projector, batch_norm)
        convert_batch_norm(self.predictor, batch_norm)

    def outputs(self, backbone: nn.Module, views: Views, group: Group = None) -> tuple[Tensor, Tensor]:
        """Unit predictions of both views (2n, d), and the unit embeddings of the other view each, detached."""
        embeddings = [self.projector(backbone(view)) for view in views]
        predictions = [self.predictor(embedding) for embedding in embeddings]
        return unit_rows(torch.cat(predictions)), unit_rows(torch.cat(embeddings[::-1]).detach())

    def criterion(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """−cos of prediction and target, in [−1, 1], mean over both directions of this worker's images."""
        return (outputs - targets).square().sum(1).mean() / 2 - 1


def _projector(width_in: int, hidden: int, width_out: int) -> nn.Sequential:
    """Three layers that end in batch norm without scale and shift; keys as published (0, 1, 3, 4, 6 and 7)."""
    last = nn.Linear(hidden, width_out)
    # As published, it has a bias that the batch norm takes out again: kept for its key, and left alone.
    nn.init.zeros_(last.bias.requires_grad_(False))
    layers = projection_head(width_in, hidden, width_out, hidden_bias=False)
    return nn.Sequential(*layers[:-1], last, nn.BatchNorm1d(width_out, affine=False))


def _predictor(width: int) -> nn.Sequential:
    bottleneck = max(width // _BOTTLENECK, 1)
    return nn.Sequential(
        nn.Linear(width, bottleneck, bias=False),
        nn.BatchNorm1d(bottleneck),
        nn.ReLU(inplace=True),
        nn.Linear(bottleneck, width),
    )
