"""What one trial has reported so far, as far as a picture of it needs it."""

import math
from collections.abc import Mapping
from typing import Any, Final

_KEPT: Final = (
    *("stage", "alternation", "epoch", "finetune_step", "seconds", "attempts", "reported_at"),
    *("lower_loss", "upper_loss", "train_loss"),
    *("cg_residual", "negative_curvature", "implicit_change", "embedding_std"),
)


class Track:
    """Its scores in order, stage by stage, and the figures of its last report.

    Attributes:
        last: of the last report, those figures of it that say how the trial does; empty before there is one.
    """

    def __init__(self, scores: Mapping[int, float] | None = None) -> None:
        """Begin with the scores that it had after alternations of before."""
        self._scores: dict[tuple[bool, int], float] = {}
        self.last: dict[str, Any] = {}
        for alternation, score in (scores or {}).items():
            self._scores[False, alternation] = score

    def report(self, row: Mapping[str, Any]) -> None:
        """Take in a report: columns of the store's, in any order."""
        place = self._place(row)
        if place >= self._place(self.last):
            self.last = {name: row.get(name) for name in _KEPT}
        score = row.get("objective")
        if score is not None and math.isfinite(score):
            self._scores[place] = score

    @property
    def scores(self) -> list[float]:
        """Of the stage that it is in: after each alternation, or each report of fine-tuning."""
        tuning = self.last.get("stage") == "finetune"
        return [self._scores[place] for place in sorted(self._scores) if place[0] == tuning]

    @property
    def curve(self) -> dict[int, float]:
        """The score after each alternation."""
        return {at: score for (tuning, at), score in self._scores.items() if not tuning}

    @staticmethod
    def _place(row: Mapping[str, Any]) -> tuple[bool, int]:
        tuning = row.get("stage") == "finetune"
        return tuning, (row.get("finetune_step") or row.get("epoch") or 0) if tuning else row.get("alternation") or 0
