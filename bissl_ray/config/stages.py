"""The stages of every backbone, from its input on: a proximity weight can be given for each.

The table stands here because a search space is checked without torch; the backbones' own modules must agree with it.
"""

from collections.abc import Mapping
from typing import Final

_RESNET = ("stem", "layer1", "layer2", "layer3", "layer4")

STAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "resnet18": _RESNET,
    "resnet50": _RESNET,
    "smallconv": ("stem", "layer1", "layer2", "layer3"),
}
"""Names of the stages by backbone, in the order in which an image passes through them."""


def stage_weight(stage: str) -> str:
    """The setting that gives a stage its own proximity weight."""
    return f"proximity_weight_{stage}"
