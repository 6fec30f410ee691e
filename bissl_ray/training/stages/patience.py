"""When a run has had enough of its alternations: none of the last ones was better (issue 17)."""

import math
from typing import Any


class Patience:
    """Watches an objective, of which larger is better; the same on every worker, as its values are."""

    def __init__(self, most: int | None) -> None:
        """Set up.

        Args:
            most: alternations in a row without a better objective; None: any number.
        """
        self._most = most
        self._best, self._at = -math.inf, 0

    def ends(self, alternation: int, objective: float) -> bool:
        """Whether this alternation is the last.

        Args:
            alternation: from 1.
            objective: after it.
        """
        if objective > self._best:
            self._best, self._at = objective, alternation
        return self._most is not None and alternation - self._at >= self._most

    def state_dict(self) -> dict[str, Any]:
        """What is needed to go on."""
        return {"best": self._best, "at": self._at}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there; nothing is known of what an earlier release saved."""
        self._best, self._at = state.get("best", -math.inf), state.get("at", 0)
