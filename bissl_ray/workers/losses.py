"""How often a run may lose its workers: it goes on from its checkpoint as long as it gets on in between."""

from collections.abc import Hashable, Mapping
from typing import Any, Final

from bissl_ray.store.schema import report_key

MOST_ATTEMPTS: Final = 3
"""So many in a row that come to nothing new are a run's failure; on machines that come and go it may lose more."""


class Losses:
    """Those of one run.

    Attributes:
        since: it made its last new report.
    """

    def __init__(self) -> None:
        self.since = 0
        self._told: set[Hashable] = set()

    def lost(self) -> None:
        """It has lost a worker, or all of them."""
        self.since += 1

    def reported(self, *rows: Mapping[str, Any]) -> None:
        """It has made a report; one that it had made before the loss, and makes again, is nothing new."""
        new = {report_key(row) for row in rows} - self._told
        self._told |= new
        if new:
            self.since = 0

    @property
    def are_too_many(self) -> bool:
        """Whether it is not begun again."""
        return self.since >= MOST_ATTEMPTS

    @property
    def attempt(self) -> str:
        """Which attempt follows, in words."""
        return f"attempt {self.since + 1} of {MOST_ATTEMPTS}"
