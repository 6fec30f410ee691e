"""Models of the timm package as backbones, by their names there and with their parameter names."""

from types import ModuleType
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bissl_ray.config.names import PARTS, TIMM
from bissl_ray.errors import BadInputError, nearest
from bissl_ray.models.base import Backbone, twice_differentiable_attention
from bissl_ray.parallel import BatchNormMode, PerWorkerBatchNorm2d

_INSIDE = "network."


class NormAct2d(PerWorkerBatchNorm2d):
    """timm's batch normalisation with an activation behind it, whose statistics span workers or not."""

    drop: nn.Module
    act: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        """Normalise and activate `[rows, channels, height, width]`."""
        activated: Tensor = self.act(self.drop(super().forward(x)))
        return activated


class TimmBackbone(Backbone):
    """A model of timm up to its pooled features, without its classification layer.

    Its state has timm's names. Activations and attention are those that have a second derivative; dropout and
    stochastic depth are off.

    Args:
        architecture: "timm/NAME".
        image_size: side of the images in pixels, for models that are made for one.
        batch_norm: whether batch statistics span all workers.

    Raises:
        BadInputError: timm is not installed, doesn't know the name, or has a model with parts that don't fit here.
    """

    def __init__(self, architecture: str, image_size: int, batch_norm: BatchNormMode) -> None:
        network = _create(architecture, image_size)
        _without_randomness(network)
        _adopt_batch_norm(architecture, network, batch_norm)
        width = getattr(network, "head_hidden_size", None) or network.num_features
        super().__init__(architecture, feature_dim=int(width), parts=_parts(network))
        self.network = network
        self.register_state_dict_post_hook(_strip)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_add)  # type: ignore[no-untyped-call]

    @classmethod
    def build(cls, name: str, image_size: int, batch_norm: BatchNormMode) -> Self:
        """The model of timm that the name has behind its prefix."""
        return cls(name, image_size, batch_norm)

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, feature_dim) of images (N, 3, image_size, image_size)."""
        with twice_differentiable_attention(images, self):
            features: Tensor = self.network(images)
        return features


def takes_image_size(architecture: str) -> bool:
    """Whether a model of timm is made for images of one size."""
    config = _timm().get_pretrained_cfg(architecture.removeprefix(TIMM))
    return bool(config is not None and config.fixed_input_size)


def classifier_name(architecture: str) -> str:
    """What a model of timm calls its classification layer.

    Raises:
        BadInputError: it has several.
    """
    config = _timm().get_pretrained_cfg(architecture.removeprefix(TIMM))
    name = None if config is None else config.classifier
    if not isinstance(name, str):
        raise BadInputError(f"{architecture} has no single classification layer in timm: give --no-head")
    return name


def shapes_in_timm(architecture: str, classes: int, **options: int) -> dict[str, torch.Size]:
    """Names and shapes of the tensors that a model of timm loads.

    Args:
        architecture: "timm/NAME".
        classes: outputs of its classification layer; 0: it has none.
        options: as of `timm.create_model`, such as img_size.
    """
    with torch.device("meta"):
        name = architecture.removeprefix(TIMM)
        network = _timm().create_model(name, pretrained=False, num_classes=classes, **options)
    return {name: tensor.shape for name, tensor in network.state_dict().items()}


def _timm() -> ModuleType:
    try:
        import timm
    except ImportError:
        raise BadInputError(
            "backbones timm/NAME need the timm package, which is not installed: pip install 'bissl-ray[timm]'"
        ) from None
    module: ModuleType = timm
    return module


def _create(architecture: str, image_size: int) -> Any:
    timm, name = _timm(), architecture.removeprefix(TIMM)
    if not timm.is_model(name):
        raise BadInputError(
            f"unknown backbone {architecture!r}: timm {timm.__version__} has no model {name!r}"
            f"{nearest(name, timm.list_models())}"
        )
    try:
        # Raises for a tag (resnet18.TAG) that timm doesn't know.
        size = {"img_size": image_size} if takes_image_size(architecture) else {}
        # Exportable: without activations and attention kernels that have a derivative of their own, but no second one.
        return timm.create_model(name, pretrained=False, num_classes=0, exportable=True, **size)
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        raise BadInputError(
            f"timm can't make {name} as a backbone for images of {image_size} pixels ({error}); choose another one, "
            "or change image_size"
        ) from error


def _without_randomness(network: nn.Module) -> None:
    """Turn dropout and stochastic depth off: all products of a linear solve must be those of one function."""
    for module in network.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
        elif hasattr(module, "drop_prob"):
            setattr(module, "drop_prob", 0.0)  # noqa: B010


def _adopt_batch_norm(architecture: str, network: nn.Module, mode: BatchNormMode) -> None:
    """Turn timm's own batch normalisation into ours; torch's is left to `convert_batch_norm`."""
    from timm.layers.norm_act import BatchNormAct2d

    for name, module in network.named_modules():
        if type(module) is BatchNormAct2d:
            _as_ours(module).spans_workers = mode == "synchronised"
        elif isinstance(module, _BatchNorm) and type(module) not in (nn.BatchNorm1d, nn.BatchNorm2d):
            raise BadInputError(
                f"{architecture} normalises by {type(module).__name__} ({name}), which can't span workers here: choose "
                "another backbone"
            )


def _as_ours(module: Any) -> NormAct2d:
    module.__class__ = NormAct2d
    ours: NormAct2d = module
    return ours


def _parts(network: Any) -> dict[str, tuple[str, ...]]:
    """The groups that a model's parameters make by depth, brought to our parts: the first is the stem."""
    groups = _groups(network) if hasattr(network, "group_matcher") else _children(network)
    stem, *rest = PARTS
    layers = groups[1:]
    parts = {stem: tuple(_INSIDE + name for name in groups[0])}
    for number, part in enumerate(rest):
        own = layers[number * len(layers) // len(rest) : (number + 1) * len(layers) // len(rest)]
        parts[part] = tuple(_INSIDE + name for group in own for name in group)
    return parts


def _groups(network: Any) -> list[list[str]]:
    """Names of parameters as timm groups them by depth: coarsely, where that makes enough groups."""
    from timm.models import group_parameters

    for coarse in (True, False):
        groups = list(group_parameters(network, network.group_matcher(coarse=coarse)).values())
        if len(groups) >= len(PARTS):
            break
    return groups


def _children(network: nn.Module) -> list[list[str]]:
    """The same of a model that timm doesn't group: by its parts, of which lists of layers count as several.

    Parameters beside the parts, such as embeddings of positions, go with the first.
    """
    lists = {name for name, part in network.named_children() if isinstance(part, (nn.Sequential, nn.ModuleList))}
    loose: list[str] = []
    groups: dict[str, list[str]] = {}
    for name, _ in network.named_parameters():
        part, *inside = name.split(".")
        group = groups.setdefault(f"{part}.{inside[0]}" if part in lists else part, []) if inside else loose
        group.append(name)
    first, *others = groups.values()
    return [loose + first, *others]


def _strip(_module: nn.Module, state: dict[str, Any], prefix: str, _metadata: object) -> None:
    for key in [key for key in state if key.startswith(prefix + _INSIDE)]:
        state[prefix + key.removeprefix(prefix + _INSIDE)] = state.pop(key)


def _add(_module: nn.Module, state: dict[str, Any], prefix: str, *_rest: object) -> None:
    for key in [key for key in state if key.startswith(prefix)]:
        state[prefix + _INSIDE + key.removeprefix(prefix)] = state.pop(key)
