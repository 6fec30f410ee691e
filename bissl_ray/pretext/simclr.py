"""SimCLR: the normalised temperature-scaled cross entropy, NT-Xent (Chen et al. 2020, equation 1)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bissl_ray.parallel import BatchNormMode, Group, all_gather, convert_batch_norm, rank
from bissl_ray.pretext.base import PretextTask, Views
from bissl_ray.pretext.heads import projection_head, unit_rows


class SimCLR(PretextTask):
    """Each view must pick its partner among all views of all images on all workers.

    Both views go through the network in one pass, as in the paper, so batch statistics are taken
    over the two views together; with synchronised statistics, over those of all workers.

    Args:
        feature_dim: width of the backbone's features.
        projector_width: width of the projector's hidden layers.
        projector_output: width of the embeddings.
        temperature: τ, divides the cosine similarities.
        batch_norm: "synchronised" or "per_worker", for the projector.
    """

    def __init__(
        self,
        feature_dim: int,
        projector_width: int,
        projector_output: int,
        temperature: float,
        batch_norm: BatchNormMode,
    ) -> None:
        super().__init__()
        self.temperature = temperature
        self.projector = projection_head(feature_dim, projector_width, projector_output)
        convert_batch_norm(self.projector, batch_norm)

    def outputs(self, backbone: nn.Module, views: Views, group: Group = None) -> tuple[Tensor, Tensor]:
        """Similarities of this worker's 2n anchors to the embeddings of all workers, and their partners' columns."""
        return similarities(self.projector(backbone(torch.cat(views))), self.temperature, group)

    def criterion(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross entropy of picking the partner, mean over this worker's anchors."""
        return pick_partner(outputs, targets)


def similarities(embeddings: Tensor, temperature: float, group: Group = None) -> tuple[Tensor, Tensor]:
    """Cosine similarities over τ of this worker's anchors (rows) to all workers' embeddings (columns).

    Args:
        embeddings: (2n, d), the first views of n images, then their second views in the same order.
        temperature: τ.
        group: the workers whose embeddings serve as negatives; n is the same on each.

    Returns:
        Similarities (2n, workers · 2n), differentiable to any order through the gather, and each anchor's partner, the
        column of the other view of its image, (2n).
    """
    # bfloat16 is too coarse for similarities, and for the sum over many negatives.
    with torch.autocast(embeddings.device.type, enabled=False):
        own = unit_rows(embeddings)
        everyone = all_gather(own, group)
        found = own @ everyone.T / temperature
    anchors = torch.arange(own.shape[0], device=own.device)
    return found, anchors.roll(own.shape[0] // 2) + rank(group) * own.shape[0]


def pick_partner(similarity: Tensor, partners: Tensor) -> Tensor:
    """Cross entropy between each anchor's similarities, but for that to itself, and its partner; mean over anchors."""
    # The anchor is the partner of its partner, half the rows away.
    itself = partners.roll(partners.shape[0] // 2)
    columns = torch.arange(similarity.shape[1], device=similarity.device)
    return F.cross_entropy(similarity.masked_fill(columns == itself[:, None], float("-inf")), partners)


def nt_xent(embeddings: Tensor, temperature: float, group: Group = None) -> Tensor:
    """NT-Xent of this worker's anchors; the mean over workers is the loss on the global batch.

    Arguments as of `similarities`. A scalar, differentiable to any order through the gather.
    """
    return pick_partner(*similarities(embeddings, temperature, group))
