"""What the settings `backbone`, `pretext` and `solver` can name, where the code of each is, and facts about backbones.

They stand here because a search space is checked without torch. A place is "module:attribute", looked up when the name
is first used, so that a name of your own is one more line here, or an entry of a plugin's, whose code may be anywhere.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BeforeValidator

from bissl_ray.config.refusal import RuleError, shown
from bissl_ray.errors import nearest
from bissl_ray.plugins import load_plugins

PRETEXTS: Final[dict[str, str]] = {
    "simclr": "bissl_ray.pretext.simclr:SimCLR",
    "byol": "bissl_ray.pretext.byol:BYOL",
    "vicreg": "bissl_ray.pretext.vicreg:VICReg",
    "barlow_twins": "bissl_ray.pretext.barlow_twins:BarlowTwins",
    "simsiam": "bissl_ray.pretext.simsiam:SimSiam",
}
"""Subclasses of `bissl_ray.pretext.PretextTask`."""

SOLVERS: Final[dict[str, str]] = {
    "cg": "bissl_ray.bilevel.solvers.cg:conjugate_gradient",
    "layerwise_cg": "bissl_ray.bilevel.solvers.layerwise_cg:layerwise_conjugate_gradient",
    "minres": "bissl_ray.bilevel.solvers.minres:minimal_residual",
    "neumann": "bissl_ray.bilevel.solvers.neumann:neumann_series",
    "nystrom": "bissl_ray.bilevel.solvers.nystrom:nystrom",
    "unrolled": "bissl_ray.bilevel.solvers.unrolled:unrolled",
    "f2sa": "bissl_ray.bilevel.solvers.f2sa:f2sa",
    "soba": "bissl_ray.bilevel.solvers.soba:soba",
    "sama": "bissl_ray.bilevel.solvers.sama:sama",
    "identity": "bissl_ray.bilevel.solvers.identity:identity",
}
"""Functions of the type `bissl_ray.bilevel.solvers.Solver`."""


def _check(value: Any, table: Mapping[str, str]) -> Any:
    """Return a name that is in the table; raise RuleError for whatever else."""
    if isinstance(value, str) and value not in table:
        load_plugins()
    if isinstance(value, str) and value in table:
        return value
    *others, last = map(repr, table)
    hint = nearest(value, table) if isinstance(value, str) else ""
    raise RuleError(f"found {shown(value)}, expected {', '.join(others)} or {last}{hint}")


# Before pydantic's own check, so that a number or a list is told the names too.
PretextName = Annotated[str, BeforeValidator(lambda value: _check(value, PRETEXTS))]
SolverName = Annotated[str, BeforeValidator(lambda value: _check(value, SOLVERS))]

PARTS: Final = ("stem", "layer1", "layer2", "layer3", "layer4")
"""Names of a backbone's parts, in the order in which an image passes through them.

Of a residual network and a ConvNeXt they are the published ones. A transformer's stem is its patch embedding, with
class token and positions; its blocks are divided evenly, and the norm at the end belongs to the last of them. Models of
timm are divided likewise, by the groups that timm gives them.
"""


@dataclass(frozen=True)
class BackboneFacts:
    """What is known of a backbone before it is built."""

    place: str
    """Of its class, a subclass of `bissl_ray.models.Backbone`, as "module:Class"; looked up when first built."""
    patch: int = 1
    """Side of its patches in pixels, of which an image's side must be a multiple."""
    smallest: int = 1
    """Smallest side of an image, pixels."""
    parts: tuple[str, ...] = PARTS
    batch_norm: bool = False
    """Whether it is known to normalise by batch statistics, so that images meet inside."""


TIMM: Final = "timm/"
"""What the name of a model of the timm package has in front."""
TIMM_FACTS: Final = BackboneFacts("bissl_ray.models.timm_backbone:TimmBackbone")

RESNETS: Final = (
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "wide_resnet50_2",
    "wide_resnet101_2",
)
VITS: Final[Mapping[str, int]] = {
    "vit_ti_16": 16,
    "vit_s_8": 8,
    "vit_s_16": 16,
    "vit_b_16": 16,
    "vit_b_32": 32,
    "vit_l_16": 16,
    "vit_l_32": 32,
    "vit_h_14": 14,
}
"""Vision transformers, each with the side of its patches in pixels."""
CONVNEXTS: Final = ("convnext_tiny", "convnext_small", "convnext_base", "convnext_large")
_CONVNEXT_STRIDE: Final = 32
"""How much smaller a ConvNeXt's last activations are than its images, per side."""

BACKBONES: Final[dict[str, BackboneFacts]] = {
    "smallconv": BackboneFacts("bissl_ray.models.convnets:SmallConv", parts=PARTS[:-1], batch_norm=True),
    **dict.fromkeys(RESNETS, BackboneFacts("bissl_ray.models.convnets:ResNet", batch_norm=True)),
    **{name: BackboneFacts("bissl_ray.models.vit:VisionTransformer", patch=patch) for name, patch in VITS.items()},
    **dict.fromkeys(CONVNEXTS, BackboneFacts("bissl_ray.models.convnets:ConvNeXt", smallest=_CONVNEXT_STRIDE)),
}
"""Every name, apart from those of timm's models. One of your own is a line here, or an entry of a plugin's."""


def facts_of(backbone: str) -> BackboneFacts:
    """What is known of a backbone by a name that `check_backbone` takes."""
    return TIMM_FACTS if backbone.startswith(TIMM) else BACKBONES[backbone]


def check_backbone(name: str) -> str:
    """Return a name that a backbone can have; whether timm knows a model of a name is seen when it is built.

    Raises:
        RuleError: there is no such backbone.
    """
    if name not in BACKBONES:
        load_plugins()
    if name in BACKBONES or re.fullmatch(rf"{TIMM}\w[\w.-]*", name):
        return name
    raise RuleError(
        f"found {name!r}, expected one of {', '.join(BACKBONES)}, or {TIMM}NAME for a model of timm"
        f"{nearest(name, BACKBONES)}"
    )


def wrong_image_size(image_size: int, backbone: str) -> str | None:
    """What side of the images was expected where a backbone can't take this one; None where it can.

    Args:
        image_size: pixels.
        backbone: its name; of timm's models nothing is known here.
    """
    facts = facts_of(backbone)
    if image_size < facts.smallest:
        return f"at least {facts.smallest} pixels, by which this backbone divides; raise image_size"
    patch = facts.patch
    if image_size % patch:
        below, above = image_size // patch * patch, -(-image_size // patch) * patch
        sizes = f"{below} or {above}" if below else str(above)
        return f"a multiple of {patch}, the side of this backbone's patches: {sizes}"
    return None


def parts_of(backbone: str) -> tuple[str, ...]:
    """Names of a backbone's parts, from its input on."""
    return facts_of(backbone).parts


def part_weight(part: str) -> str:
    """The setting that gives a part its own proximity weight."""
    return f"proximity_weight_{part}"
