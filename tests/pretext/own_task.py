"""A pretext task as the README shows how to add one: all that is particular to it."""

import torch
from torch import Tensor, nn

from bissl_ray.parallel import BatchNormMode, Group, all_gather, convert_batch_norm, rank
from bissl_ray.pretext import PretextTask, Views
from bissl_ray.pretext.heads import projection_head


class SpectralContrastive(PretextTask):
    """Embeddings of one image alike, those of any two at right angles (HaoChen et al. 2021, equation 6)."""

    def __init__(
        self, feature_dim: int, projector_width: int, projector_output: int, batch_norm: BatchNormMode
    ) -> None:
        super().__init__()
        self.projector = projection_head(feature_dim, projector_width, projector_output)
        convert_batch_norm(self.projector, batch_norm)

    def outputs(self, backbone: nn.Module, views: Views, group: Group = None) -> tuple[Tensor, Tensor]:
        """Inner products of this worker's first views with everyone's second views, and the partners' columns."""
        first, second = (self.projector(backbone(view)).float() for view in views)
        partners = torch.arange(len(first), device=first.device) + rank(group) * len(first)
        return first @ all_gather(second, group).T, partners

    def criterion(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Convex in the inner products: squares of strangers', minus twice the partners'."""
        partners = outputs.gather(1, targets[:, None])
        strangers = outputs.square().sum() - partners.square().sum()
        return strangers / (outputs.numel() - len(outputs)) - 2 * partners.mean()
