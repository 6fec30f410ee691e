"""The figures of a page as the data of its script; which are left out where the page would be too large."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from bissl_ray.report.elements import Plot

MOST_BYTES: Final = 6_000_000
"""Of a report; where all figures would make it larger, the dispensable ones of long reports are left out, by name."""
_OF_WORDS: Final = 40_000
"""Bytes that are left for the tables and words of each sweep, and for those of the page."""


@dataclass
class Drawing:
    """The figures of a sweep, of a comparison, or of several sweeps together.

    Attributes:
        plots: in the order of the page.
        json: of each that is drawn, by its key.
    """

    plots: list[Plot]
    json: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for plot in self.plots:
            if plot.figure is not None:
                self.json[plot.key] = _as_json(plot)

    def drop(self, key: str, why: str) -> None:
        """Leave a figure out."""
        del self.json[key]
        self.plots = [plot.without(why) if plot.key == key else plot for plot in self.plots]

    def among(self, *names: str) -> list[Plot]:
        """Those whose keys end in one of these words."""
        return [plot for plot in self.plots if plot.key.split("-")[-1] in names]


def make_fit(drawings: Sequence[Drawing], sweeps: int) -> None:
    """Leave figures out until the page is small enough: the most dispensable first, of them the largest.

    Args:
        drawings: all of the page.
        sweeps: that it is of.
    """
    left = MOST_BYTES - len(plotly_script()) - _OF_WORDS * (sweeps + 1)
    total = sum(len(figure) for drawing in drawings for figure in drawing.json.values())
    every = [
        (plot.order, len(drawing.json[plot.key]), plot.key, drawing)
        for drawing in drawings
        for plot in drawing.plots
        if plot.key in drawing.json
    ]
    for _, size, key, drawing in sorted(every, key=lambda each: (-each[0], -each[1])):
        if total <= left:
            return
        limit = f"this file below {MOST_BYTES // 10**6} MB"
        drawing.drop(key, f"it was left out to keep {limit}; a report of fewer sweeps has it.")
        total -= size


@cache
def plotly_script() -> str:
    """The script that draws the figures, of the version that made them."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs()).replace("</script", "<\\/script")


def in_script(text_of_json: str) -> str:
    """JSON that nothing in it can end the script element of."""
    return text_of_json.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _as_json(plot: Plot) -> str:
    assert plot.figure is not None
    figure: dict[str, Any] = json.loads(plot.figure.to_json())
    figure["layout"].pop("template", None)
    return in_script(json.dumps({"data": figure["data"], "layout": figure["layout"]}, separators=(",", ":")))
