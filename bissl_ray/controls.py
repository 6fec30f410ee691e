"""What BiSSL is compared with (issue 16): the names of `compare --control`, and what each is in words.

It stands by itself, because boards name controls and do without pydantic, which takes long to import.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

PLAIN: Final = "plain"
"""The control that every sweep has beside BiSSL."""


@dataclass(frozen=True)
class Control:
    """Another way from the same checkpoint and the same data to a fine-tuned model.

    Attributes:
        title: what boards call it.
        words: what it is, in a line.
        aligns: whether something comes before fine-tuning, in the place of BiSSL: it is then searched, tuned and
            confirmed as BiSSL is. Else it is tuned and confirmed as plain fine-tuning is.
    """

    title: str
    words: str
    aligns: bool


CONTROLS: Final[Mapping[str, Control]] = {
    PLAIN: Control("fine-tuning", "fine-tuning on as many labelled images as BiSSL sees", aligns=False),
    "gradients": Control(
        "longer fine-tuning", "fine-tuning for as many gradient evaluations as BiSSL takes", aligns=False
    ),
    "joint": Control(
        "joint training", "pretext and downstream loss on one backbone, one weight searched, then fine-tuning", True
    ),
    "continued": Control(
        "more pretraining", "the pretext for as many steps as BiSSL's lower level takes, then fine-tuning", True
    ),
    "identity": Control("first-order BiSSL", "BiSSL whose hypergradient leaves the lower Hessian out", True),
    "scratch": Control("training from scratch", "fine-tuning of fresh weights", aligns=False),
    "frozen": Control("frozen + linear", "the head alone, on the pretrained backbone as it is", aligns=False),
}
