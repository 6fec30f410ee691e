"""The stages of every backbone, from its input on: a proximity weight can be given for each.

The rule stands here because a search space is checked without torch; the backbones' own modules must agree with it.
"""

from typing import Final

STAGES: Final = ("stem", "layer1", "layer2", "layer3", "layer4")
"""Names of the stages, in the order in which an image passes through them.

Of a residual network and a ConvNeXt they are the published ones. A transformer's stem is its patch embedding, with
class token and positions; its blocks are divided evenly, and the norm at the end belongs to the last of them. Models of
timm are divided likewise, by the groups that timm gives them.
"""


def stages_of(backbone: str) -> tuple[str, ...]:
    """Names of a backbone's stages, from its input on."""
    return STAGES[:-1] if backbone == "smallconv" else STAGES


def stage_weight(stage: str) -> str:
    """The setting that gives a stage its own proximity weight."""
    return f"proximity_weight_{stage}"
