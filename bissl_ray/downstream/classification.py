"""Single-label classification: a linear head and cross entropy."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bissl_ray.downstream.base import DownstreamTask


class ClassificationTask(DownstreamTask):
    """Each image belongs to one of `classes` classes.

    The head's weights are drawn from torch's global generator: the same seed gives the same head.

    Args:
        feature_dim: width of the backbone's features.
        classes: how many classes there are.
    """

    def __init__(self, feature_dim: int, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.head = nn.Linear(feature_dim, classes)

    def forward(self, features: Tensor) -> Tensor:
        """Logits (n, classes) of features (n, feature_dim)."""
        # Not in bfloat16, whatever the backbone's arithmetic: with its 8 bits many classes would tie.
        with torch.autocast(features.device.type, enabled=False):
            logits: Tensor = self.head(features.to(self.head.weight.dtype))
        return logits

    def loss_of_scores(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Cross entropy of each image, (n,)."""
        return F.cross_entropy(scores, labels, reduction="none")
