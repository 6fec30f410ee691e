"""A backbone that lives outside of the package: patches mixed by two layers. Importing this module registers it.

Patches of 4 pixels are embedded, each goes through a residual layer, and their mean is the feature.
"""

from typing import Self

from torch import Tensor, nn

from bissl_ray.config.names import BACKBONES, BackboneFacts
from bissl_ray.models import Backbone
from bissl_ray.parallel import BatchNormMode

PATCH, WIDTH = 4, 32


class Patches(Backbone):
    """32 features of images (N, 3, H, W) whose sides are multiples of 4 pixels; tanh has derivatives of any order."""

    def __init__(self) -> None:
        super().__init__("patches", feature_dim=WIDTH, parts={"stem": ("embed",), "layer1": ("mix",)})
        self.embed = nn.Conv2d(3, WIDTH, PATCH, stride=PATCH)
        self.mix = nn.Conv2d(WIDTH, WIDTH, 1)

    @classmethod
    def build(cls, name: str, image_size: int, batch_norm: BatchNormMode) -> Self:
        return cls()

    def forward(self, images: Tensor) -> Tensor:
        embedded: Tensor = self.embed(images).tanh()
        return (embedded + self.mix(embedded).tanh()).mean(dim=(2, 3))


BACKBONES["patches"] = BackboneFacts(f"{__name__}:Patches", patch=PATCH, parts=("stem", "layer1"))
