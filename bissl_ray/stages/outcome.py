"""How a stage ended, as its caller is told."""

from dataclasses import dataclass
from typing import Any

from bissl_ray.stages.request import StageRequest


@dataclass(frozen=True)
class StageOutcome:
    """How a call of `run_stage` ended.

    Attributes:
        request: what was asked for.
        storage: where its folder is, absolute.
        finished: whether it ran to its end; False after an interruption.
        result: what it came to: metrics, checkpoint, seconds; empty after an interruption.
        before: whether it had finished before this call, which then did nothing.
        saved: after an interruption, whether it saved where it was then.
    """

    request: StageRequest
    storage: str
    finished: bool
    result: dict[str, Any]
    before: bool = False
    saved: bool = True
