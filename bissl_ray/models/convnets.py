"""Convolutional backbones: torchvision's residual networks and ConvNeXts, and a small one for the digits."""

from types import MappingProxyType
from typing import Self

from torch import Tensor, nn

from bissl_ray.models.base import Backbone, StagedBackbone
from bissl_ray.parallel import BatchNormMode


def _block(channels_in: int, channels_out: int, stride: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(convolution, nn.BatchNorm2d(channels_out), nn.ReLU(inplace=True))


class SmallConv(StagedBackbone):
    """Four blocks of 3x3 convolution, batch norm and ReLU, then global average pooling.

    65,760 parameters, 64 features. The stem halves the resolution at once: at these sizes most of
    the time of a step would otherwise go into its full-resolution activations.
    """

    channels = MappingProxyType({"stem": 32, "layer1": 32, "layer2": 64, "layer3": 64})
    strides = MappingProxyType({"stem": 2, "layer1": 2, "layer2": 4, "layer3": 4})

    def __init__(self) -> None:
        parts = {name: (name,) for name in ("stem", "layer1", "layer2", "layer3")}
        super().__init__("smallconv", feature_dim=64, parts=parts)
        self.stem = _block(3, 32, stride=2)
        self.layer1 = _block(32, 32, stride=1)
        self.layer2 = _block(32, 64, stride=2)
        self.layer3 = _block(64, 64, stride=1)

    @classmethod
    def build(cls, name: str, image_size: int, batch_norm: BatchNormMode) -> Self:
        """The one that there is."""
        return cls()

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, 64) of images (N, 3, H, W)."""
        activations: Tensor = self.layer3(self.layer2(self.layer1(self.stem(images))))
        return activations.mean(dim=(2, 3))

    def blocks(self) -> list[tuple[nn.Module, str]]:
        """The four."""
        return [(self.get_submodule(part), "forward") for part in self.parts]

    def through(self, part: str, activations: Tensor) -> Tensor:
        """What a block makes of what it is given."""
        given: Tensor = self.get_submodule(part)(activations)
        return given


_STEM = ("conv1", "bn1", "relu", "maxpool")
_LAST_PLANES = 512
_RESNET_PARTS = {"stem": ("conv1", "bn1"), **{f"layer{number}": (f"layer{number}",) for number in (1, 2, 3, 4)}}


class ResNet(StagedBackbone):
    """torchvision's residual network up to its pooled features; wide ones and ResNeXts as well.

    The layers are children of this module under the names that torchvision and timm share (conv1,
    bn1, layer1, ...), so the state dict has their keys, less fc.weight and fc.bias.
    """

    strides = MappingProxyType({"stem": 4, "layer1": 4, "layer2": 8, "layer3": 16, "layer4": 32})

    def __init__(self, architecture: str) -> None:
        # torchvision takes seconds to import: a run on smallconv does not wait for it.
        from torchvision.models import get_model

        network: nn.Module = get_model(architecture, weights=None)
        layers = dict(network.named_children())
        classifier = layers.pop("fc")
        assert isinstance(classifier, nn.Linear)
        super().__init__(architecture, feature_dim=classifier.in_features, parts=_RESNET_PARTS)
        for name, layer in layers.items():
            self.add_module(name, layer)
        widened = classifier.in_features // _LAST_PLANES
        self.channels = {"stem": 64, **{f"layer{number}": 32 * 2**number * widened for number in (1, 2, 3, 4)}}

    @classmethod
    def build(cls, name: str, image_size: int, batch_norm: BatchNormMode) -> Self:
        """The network of that name in torchvision."""
        return cls(name)

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, feature_dim) of images (N, 3, H, W)."""
        activations = self._stem(images)
        for name, layer in self.named_children():
            if name not in _STEM:
                activations = layer(activations)
        return activations.flatten(1)

    def blocks(self) -> list[tuple[nn.Module, str]]:
        """The stem, whose activations are the largest, and the residual blocks."""
        return [(self, "_stem"), *super().blocks()]

    def through(self, part: str, activations: Tensor) -> Tensor:
        """What the stem (convolution, norm, ReLU, pooling) or a layer makes of what it is given."""
        given: Tensor = self._stem(activations) if part == "stem" else self.get_submodule(part)(activations)
        return given

    def _stem(self, images: Tensor) -> Tensor:
        activations = images
        for layer in _STEM:
            activations = self.get_submodule(layer)(activations)
        return activations


_CONVNEXT_PARTS = {
    "stem": ("features.0",),
    "layer1": ("features.1",),
    "layer2": ("features.2", "features.3"),
    "layer3": ("features.4", "features.5"),
    "layer4": ("features.6", "features.7", "classifier"),
}
"""What halves the resolution belongs to the part that it leads to."""


class ConvNeXt(Backbone):
    """torchvision's ConvNeXt up to its pooled and normalised features, less classifier.2.

    No block is left out at random (stochastic depth): all products of a linear solve must be those of one function.
    """

    def __init__(self, architecture: str) -> None:
        from torchvision.models import get_model

        network = get_model(architecture, weights=None, stochastic_depth_prob=0.0)
        norm = network.classifier[0]
        super().__init__(architecture, feature_dim=norm.normalized_shape[0], parts=_CONVNEXT_PARTS)
        self.features = network.features
        self.avgpool = network.avgpool
        # Under the index that it has in torchvision, whose other layers there are the classifier's.
        self.classifier = nn.Sequential(norm)

    @classmethod
    def build(cls, name: str, image_size: int, batch_norm: BatchNormMode) -> Self:
        """The network of that name in torchvision."""
        return cls(name)

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, feature_dim) of images (N, 3, H, W)."""
        pooled: Tensor = self.classifier(self.avgpool(self.features(images)))
        return pooled.flatten(1)
