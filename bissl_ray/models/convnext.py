"""ConvNeXts (Liu et al. 2022) with torchvision's layers and torchvision's parameter names."""

from torch import Tensor, nn

from bissl_ray.models.base import Backbone

_STAGES = {
    "stem": ("features.0",),
    "layer1": ("features.1",),
    "layer2": ("features.2", "features.3"),
    "layer3": ("features.4", "features.5"),
    "layer4": ("features.6", "features.7", "classifier"),
}
"""What halves the resolution belongs to the stage that it leads to."""


class ConvNeXt(Backbone):
    """torchvision's ConvNeXt up to its pooled and normalised features, less classifier.2.

    No block is left out at random (stochastic depth): all products of a linear solve must be those of one function.
    """

    def __init__(self, architecture: str) -> None:
        from torchvision.models import get_model

        network = get_model(architecture, weights=None, stochastic_depth_prob=0.0)
        norm = network.classifier[0]
        super().__init__(architecture, feature_dim=norm.normalized_shape[0], stages=_STAGES)
        self.features = network.features
        self.avgpool = network.avgpool
        # Under the index that it has in torchvision, whose other layers there are the classifier's.
        self.classifier = nn.Sequential(norm)

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, feature_dim) of images (N, 3, H, W)."""
        pooled: Tensor = self.classifier(self.avgpool(self.features(images)))
        return pooled.flatten(1)
