"""A small convolutional network for images of 8 to 16 pixels, quick on one CPU core."""

from torch import Tensor, nn

from bissl_ray.models.base import Backbone


def _block(channels_in: int, channels_out: int, stride: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(convolution, nn.BatchNorm2d(channels_out), nn.ReLU(inplace=True))


class SmallConv(Backbone):
    """Four blocks of 3x3 convolution, batch norm and ReLU, then global average pooling.

    65,760 parameters, 64 features. The stem halves the resolution at once: at these sizes most of
    the time of a step would otherwise go into its full-resolution activations.
    """

    def __init__(self) -> None:
        stages = {name: (name,) for name in ("stem", "layer1", "layer2", "layer3")}
        super().__init__("smallconv", feature_dim=64, stages=stages)
        self.stem = _block(3, 32, stride=2)
        self.layer1 = _block(32, 32, stride=1)
        self.layer2 = _block(32, 64, stride=2)
        self.layer3 = _block(64, 64, stride=1)

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, 64) of images (N, 3, H, W)."""
        activations: Tensor = self.layer3(self.layer2(self.layer1(self.stem(images))))
        return activations.mean(dim=(2, 3))
