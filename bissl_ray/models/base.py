"""What every backbone offers: features of a known width, and parts that its parameters belong to."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from bissl_ray.parallel import BatchNormMode


class Backbone(nn.Module):
    """Maps normalised images (N, 3, H, W) to features (N, feature_dim); differentiable twice.

    Parameter names are the architecture's own, without a classification layer, so that a saved state
    loads wherever that architecture is known.

    Attributes:
        architecture: the name that `build_backbone` knows it by.
        feature_dim: width of the features.
        parts: names of the parts from the input on, each with its parameters, or modules that hold them; agrees with
            `bissl_ray.config.names`.
    """

    def __init__(self, architecture: str, feature_dim: int, parts: Mapping[str, tuple[str, ...]]) -> None:
        super().__init__()
        self.architecture = architecture
        self.feature_dim = feature_dim
        self.parts = dict(parts)

    @classmethod
    @abstractmethod
    def build(cls, name: str, image_size: int, batch_norm: BatchNormMode) -> Self:
        """One with fresh weights, drawn from torch's global generator.

        Args:
            name: a key of `bissl_ray.config.names.BACKBONES` whose place is this class, or timm/NAME.
            image_size: side of its images in pixels.
            batch_norm: whether batch statistics span all workers; `build_backbone` sees to torch's own layers.

        Raises:
            BadInputError: it can't be built.
        """

    def parameter_parts(self) -> list[str]:
        """The part of each trainable parameter tensor, in the module's order."""
        part_of = {module: part for part, modules in self.parts.items() for module in modules}
        trained = (name for name, parameter in self.named_parameters() if parameter.requires_grad)
        return [part_of[next(module for module in _around(name) if module in part_of)] for name in trained]

    def blocks(self) -> list[tuple[nn.Module, str]]:
        """What a forward runs one after another, each with little between it and the next: where memory can be cut.

        Returns:
            Modules and the name of the method that runs one; by default the layers of lists that have several layers
            with parameters and no such list inside, as residual and attention blocks.
        """
        lists = [module for module in self.modules() if isinstance(module, nn.Sequential | nn.ModuleList)]
        members = [member for each in lists for member in each if not isinstance(member, nn.Sequential | nn.ModuleList)]
        found = [member for member in dict.fromkeys(members) if _layers(member) > 1]
        inner = [member for member in found if not any(other in found for other in list(member.modules())[1:])]
        return [(member, "forward") for member in inner]


class StagedBackbone(Backbone):
    """A backbone whose parts follow one another, each a map of what the one before gives: they can be run one by one.

    Attributes:
        channels: of what each part gives, (n, channels, H, W).
        strides: how many of the images' pixels lie between neighbours in what each part gives, per side.
    """

    channels: Mapping[str, int]
    strides: Mapping[str, int]

    @abstractmethod
    def through(self, part: str, activations: Tensor) -> Tensor:
        """What a part makes of images (n, 3, H, W), if it is the first, or of what the part before it gives."""


def _layers(module: nn.Module) -> int:
    """Modules in it that have parameters of their own."""
    return sum(any(True for _ in each.parameters(recurse=False)) for each in module.modules())


def _around(name: str) -> list[str]:
    """A dotted name and every module that it lies in, the innermost first."""
    words = name.split(".")
    return [".".join(words[:count]) for count in range(len(words), 0, -1)]


@contextmanager
def twice_differentiable_attention(images: Tensor, network: nn.Module) -> Iterator[None]:
    """Inside, attention that is recorded for gradients is composed of operations with derivatives of any order.

    torch's fused kernels of scaled dot-product attention have no second derivative. Its composed one has, and all
    attention layers go through the same function, so the choice is made around a backbone's forward.

    Without gradients, and under autocast, where curvature is never taken, torch picks its quickest kernel as ever.

    Args:
        images: what the network is fed.
        network: nothing is recorded where none of its parameters, nor the images, take part.
    """
    kind = images.device.type
    autocast = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    recorded = images.requires_grad or any(parameter.requires_grad for parameter in network.parameters())
    if autocast or not (recorded and torch.is_grad_enabled()):
        yield
        return
    with sdpa_kernel(SDPBackend.MATH):
        yield
