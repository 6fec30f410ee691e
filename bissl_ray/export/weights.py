"""A run's tensors under the names that torchvision or timm give them, and how these load them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from bissl_ray.config.names import CONVNEXTS, TIMM, VITS
from bissl_ray.config.options import Keys
from bissl_ray.config.settings import Settings, of_any_release
from bissl_ray.data import DatasetSpec
from bissl_ray.downstream import downstream_task
from bissl_ray.errors import BadInputError
from bissl_ray.models.timm_backbone import classifier_name, shapes_in_timm, takes_image_size
from bissl_ray.models.timm_keys import in_timm_keys, timm_model
from bissl_ray.models.vit import size_of


@dataclass(frozen=True)
class ModelWeights:
    """A model's tensors, ready to be written.

    Attributes:
        architecture: the backbone.
        tensors: by name; those of the classification layer are among them where the model has one.
        classes: outputs of the classification layer, or of a detector; 0 where there is none.
        load: lines of Python that build the model, which then takes the tensors by `load_state_dict`.
    """

    architecture: str
    tensors: dict[str, Tensor]
    classes: int
    load: str
    kind: str = ""
    """What it is, where it is more than a backbone with a classification layer."""


def whole_weights(content: Mapping[str, Any], keys: Keys, spec: DatasetSpec) -> ModelWeights | None:
    """Backbone and head as one model, where the dataset's task makes more of them than a classification layer.

    Arguments as of `model_weights`; None where it doesn't, or there is no head.

    Raises:
        BadInputError: such a model has torchvision's names only.
    """
    head = content.get("downstream")
    if not head:
        return None
    settings = Settings(**of_any_release(content["metadata"]["settings"]))
    whole = downstream_task(spec.task).whole_model(content["backbone"], head, settings, spec)
    if whole is None:
        return None
    if keys != "torchvision":
        raise BadInputError(
            f"{keys} has no {whole.kind} like this one: leave --keys out for torchvision's names, or give --no-head "
            "for the backbone alone"
        )
    return ModelWeights(settings.backbone, whole.tensors, whole.classes, whole.load, whole.kind)


def model_weights(content: Mapping[str, Any], keys: Keys, with_head: bool = True) -> ModelWeights:
    """Name the tensors of a checkpoint of ours as torchvision or timm do.

    Args:
        content: what `Models.checkpoint` made: "backbone", "metadata", and the downstream head where there is one.
        keys: whose names.
        with_head: include the downstream head, as the classification layer.

    Raises:
        BadInputError: the architecture isn't one of theirs, or doesn't classify by one linear layer there.
    """
    settings = content["metadata"]["settings"]
    architecture, image_size = str(settings["backbone"]), int(settings["image_size"])
    if keys == "timm" and timm_model(architecture) is None:
        raise BadInputError(f"timm has no model like {architecture}; leave --keys out for the names it has here")
    of_timm = architecture.startswith(TIMM)
    if keys == "torchvision" and of_timm:
        raise BadInputError(f"{architecture} has timm's names only: give --keys timm")
    tensors = dict(content["backbone"])
    head = _head(content.get("downstream") or {}) if with_head else {}
    if not of_timm:
        tensors |= {f"{_classifier(architecture)}.{name}": tensor for name, tensor in head.items()}
        tensors = in_timm_keys(architecture, tensors) if keys == "timm" else tensors
    elif head:
        tensors |= {f"{classifier_name(architecture)}.{name}": tensor for name, tensor in head.items()}
    classes = len(head["bias"]) if head else 0
    if keys == "torchvision":
        return ModelWeights(architecture, tensors, classes, _build(architecture, image_size, classes))
    fixed = takes_image_size(architecture) if of_timm else architecture in VITS
    size = {"img_size": image_size} if fixed else {}
    if of_timm:
        tensors = _in_timms_shapes(architecture, tensors, classes, size)
    return ModelWeights(architecture, tensors, classes, _in_timm(architecture, classes, size))


def _head(downstream: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weight and bias of the linear layer that a classifying task has as its head."""
    if downstream and not {"head.weight", "head.bias"} <= downstream.keys():
        raise BadInputError(
            f"found a downstream head of {', '.join(sorted(downstream)[:3])}, ..., expected one linear layer, as "
            "torchvision and timm have it: give --no-head"
        )
    return {name: downstream[f"head.{name}"] for name in ("weight", "bias") if f"head.{name}" in downstream}


def _classifier(architecture: str) -> str:
    """What torchvision calls its classification layer."""
    if architecture in VITS:
        return "heads.head"
    return "classifier.2" if architecture in CONVNEXTS else "fc"


def _in_timms_shapes(
    architecture: str, tensors: Mapping[str, Tensor], classes: int, size: Mapping[str, int]
) -> dict[str, Tensor]:
    """The tensors in the shapes that a model of timm's has: some classify by a convolution of one pixel."""
    expected = shapes_in_timm(architecture, classes, **size)
    wrong = sorted(tensors.keys() ^ expected.keys())
    wrong += [name for name in tensors.keys() & expected.keys() if tensors[name].numel() != expected[name].numel()]
    if wrong and classes:
        raise BadInputError(
            f"{architecture} doesn't classify by one linear layer in timm, as here ({wrong[0]}): give --no-head"
        )
    if wrong:
        raise BadInputError(f"{architecture} has other tensors in the timm that is installed ({wrong[0]})")
    return {name: tensor.reshape(expected[name]) for name, tensor in tensors.items()}


def _in_timm(architecture: str, classes: int, size: Mapping[str, int]) -> str:
    options = "".join(f", {name}={value}" for name, value in size.items())
    return (
        "import timm\n"
        f'model = timm.create_model("{timm_model(architecture)}", pretrained=False, num_classes={classes}{options})'
    )


def _build(architecture: str, image_size: int, classes: int) -> str:
    if architecture == "smallconv":
        head = f"model.fc = torch.nn.Linear(model.feature_dim, {classes})  # model.fc(model(images)) are the scores"
        lines = ["from bissl_ray.models import build_backbone", f'model = build_backbone("{architecture}")']
        return "\n".join([*lines, head] if classes else lines)
    outputs = f", num_classes={classes}" if classes else ""
    if architecture in VITS:
        size = size_of(architecture)
        lines = [
            "from torchvision.models import VisionTransformer",
            f"model = VisionTransformer(image_size={image_size}, patch_size={VITS[architecture]}, "
            f"num_layers={size.layers}, num_heads={size.heads}, hidden_dim={size.width}, mlp_dim={4 * size.width}"
            f"{outputs})",
        ]
    else:
        lines = ["from torchvision.models import get_model", f'model = get_model("{architecture}"{outputs})']
    layer = _classifier(architecture)
    parent, _, last = layer.rpartition(".")
    place = f"model.{parent}[{last}]" if last.isdigit() else f"model.{layer}"
    return "\n".join(lines if classes else [*lines, f"{place} = torch.nn.Identity()  # the features"])
