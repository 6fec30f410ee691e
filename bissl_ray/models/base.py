"""What every backbone offers: features of a known width."""

from torch import nn


class Backbone(nn.Module):
    """Maps normalised images (N, 3, H, W) to features (N, feature_dim).

    Parameter names are the architecture's own, without a classification layer, so that a saved state
    loads wherever that architecture is known.

    Attributes:
        architecture: the name that `build_backbone` knows it by.
        feature_dim: width of the features.
    """

    def __init__(self, architecture: str, feature_dim: int) -> None:
        super().__init__()
        self.architecture = architecture
        self.feature_dim = feature_dim
