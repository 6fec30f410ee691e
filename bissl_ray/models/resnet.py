"""Residual networks (He et al. 2016) with torchvision's layers and torchvision's parameter names."""

from torch import Tensor, nn

from bissl_ray.models.base import Backbone

_STAGES = {"stem": ("conv1", "bn1"), **{f"layer{number}": (f"layer{number}",) for number in (1, 2, 3, 4)}}


class ResNet(Backbone):
    """torchvision's residual network up to its pooled features; wide ones and ResNeXts as well.

    The layers are children of this module under the names that torchvision and timm share (conv1,
    bn1, layer1, ...), so the state dict has their keys, less fc.weight and fc.bias.
    """

    def __init__(self, architecture: str) -> None:
        # torchvision takes seconds to import: a run on smallconv does not wait for it.
        from torchvision.models import get_model

        network: nn.Module = get_model(architecture, weights=None)
        layers = dict(network.named_children())
        classifier = layers.pop("fc")
        assert isinstance(classifier, nn.Linear)
        super().__init__(architecture, feature_dim=classifier.in_features, stages=_STAGES)
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, feature_dim) of images (N, 3, H, W)."""
        activations = images
        for layer in self.children():
            activations = layer(activations)
        return activations.flatten(1)
