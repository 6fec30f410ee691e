"""What a detector makes of a backbone: maps to propose regions on, and a description of each region."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Protocol

from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import TwoMLPHead
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from bissl_ray.models import StagedBackbone

_PYRAMID_CHANNELS, _DESCRIPTION = 256, 1024
_PYRAMID_STRIDES = (4, 8, 16, 32)


class Neck(Protocol):
    """One way to look into a backbone, which is handed to it; what it has beside that is its own.

    Attributes:
        channels: of the maps.
        width: of a region's description.
        pooled_from: names of the maps that regions are cut out of.
    """

    channels: int
    width: int
    pooled_from: tuple[str, ...]

    def maps(self, backbone: StagedBackbone, images: Tensor) -> dict[str, Tensor]:
        """Maps (N, channels, h, w) of images (N, 3, H, W), H and W multiples of 32, the finest first."""

    def describe(self, backbone: StagedBackbone, regions: Tensor) -> Tensor:
        """Descriptions (R, width) of what was cut out of the maps, (R, channels, region_size, region_size)."""


class C4:
    """All but the backbone's last part see the image, and that one works on each region (He et al. 2016, appendix A).

    So every parameter of the backbone takes part, and there are none beside it.

    Args:
        backbone: whose parts they are.
    """

    def __init__(self, backbone: StagedBackbone) -> None:
        *self._shared, self._last = backbone.parts
        self.channels = backbone.channels[self._shared[-1]]
        self.width = backbone.channels[self._last]
        self.pooled_from: tuple[str, ...] = ("0",)

    def maps(self, backbone: StagedBackbone, images: Tensor) -> dict[str, Tensor]:
        """The one map that the shared parts make."""
        activations = images
        for part in self._shared:
            activations = backbone.through(part, activations)
        return {"0": activations}

    def describe(self, backbone: StagedBackbone, regions: Tensor) -> Tensor:
        """What the last part makes of each region, averaged over it."""
        return backbone.through(self._last, regions).mean(dim=(2, 3))


class Pyramid(nn.Module):
    """A map of each part from layer1 on, coarser ones added to finer (Lin et al. 2017), and one more by pooling.

    Args:
        backbone: whose parts they are.
        region_size: side of what is cut out of a map for a region.

    Attributes:
        levels: how many maps there are.
        fpn: makes the maps.
        box_head: two layers that describe a region.
    """

    channels = _PYRAMID_CHANNELS
    width = _DESCRIPTION
    pooled_from: tuple[str, ...] = ("0", "1", "2", "3")
    levels = 5

    def __init__(self, backbone: StagedBackbone, region_size: int) -> None:
        super().__init__()
        self._stem, *self._parts = backbone.parts
        channels = [backbone.channels[part] for part in self._parts]
        self.fpn = FeaturePyramidNetwork(channels, _PYRAMID_CHANNELS, LastLevelMaxPool())
        self.box_head = TwoMLPHead(_PYRAMID_CHANNELS * region_size**2, _DESCRIPTION)

    def maps(self, backbone: StagedBackbone, images: Tensor) -> dict[str, Tensor]:
        """Five maps, strides 4 to 64."""
        activations = backbone.through(self._stem, images)
        of_parts: OrderedDict[str, Tensor] = OrderedDict()
        for number, part in enumerate(self._parts):
            of_parts[str(number)] = activations = backbone.through(part, activations)
        maps: Mapping[str, Tensor] = self.fpn(of_parts)
        return dict(maps)

    def describe(self, backbone: StagedBackbone, regions: Tensor) -> Tensor:
        """Two fully connected layers with ReLU."""
        described: Tensor = self.box_head(regions)
        return described


def has_pyramid(strides: Mapping[str, int]) -> bool:
    """Whether a backbone's parts behind the stem halve the resolution one by one, as a pyramid needs it."""
    return tuple(list(strides.values())[1:]) == _PYRAMID_STRIDES
