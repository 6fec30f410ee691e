"""How figures look: colours that are told apart on white and on black, by people who see some colours alike, too."""

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from bissl_ray.metrics import Metric

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# Okabe and Ito's, those that are visible on white and on black, the blue lighter for it.
COLOURS: Final = ("#1C86C9", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
BISSL: Final = COLOURS[0]
BEST: Final = COLOURS[1]
CONTROL: Final = "#888888"
SCALE: Final = ((0.0, "#7C8794"), (0.45, "#56B4E9"), (0.75, "#1C86C9"), (1.0, "#D55E00"))
"""From low to high; of a score that is to be small it is turned around."""
_CLEAR: Final = "rgba(0,0,0,0)"


def styled(figure: "Figure", **layout: Any) -> "Figure":
    """A figure as the page has it: no title, no background, little margin; its texts and lines follow the page's.

    Args:
        figure: changed, and given back.
        layout: what is to be otherwise.
    """
    legend = {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0, "title": {"text": ""}}
    # The template that plotly and Optuna give each figure is 7 kB of it, and of light pages.
    figure.update_layout(template=None, title=None, paper_bgcolor=_CLEAR, plot_bgcolor=_CLEAR)
    figure.update_layout(margin={"l": 60, "r": 16, "t": 30, "b": 48}, legend=legend, hoverlabel={"align": "left"})
    figure.update_layout(font={"size": 12}, colorway=list(COLOURS))
    for axes in (figure.update_xaxes, figure.update_yaxes):
        axes(exponentformat="e", minexponent=4, automargin=True, title_standoff=6)
        axes(gridcolor="rgba(128,128,128,0.22)", zerolinecolor="rgba(128,128,128,0.45)", linecolor="#888888")
        # Of a logarithm 1, 2 and 5: all nine don't fit where a figure is narrow.
        axes(selector={"type": "log"}, dtick="D2")
    figure.update_layout(modebar={"bgcolor": _CLEAR, "color": "rgba(128,128,128,0.7)", "activecolor": COLOURS[0]})
    figure.update_layout(**layout)
    return figure


def axis(metric: Metric) -> str:
    """What the axis of scores is called."""
    return f"{metric.title}{', %' if metric.share else ''}"


def unit(metric: Metric) -> float:
    """What an objective is multiplied by for the axis: shares are in per cent, what is to be small has a minus."""
    return metric.objective(100.0 if metric.share else 1.0)


def colour_at(share: float) -> str:
    """The colour of the scale so far along it, from 0 to 1."""
    for (low, one), (high, other) in pairwise(SCALE):
        if share <= high:
            part = max(share - low, 0.0) / (high - low)
            mixed = (a + part * (b - a) for a, b in zip(_rgb(one), _rgb(other), strict=True))
            return f"rgb({','.join(f'{value:.0f}' for value in mixed)})"
    return SCALE[-1][1]


def transparent(colour: str, opacity: float) -> str:
    """A colour of the form #RRGGBB that lets through what is behind it."""
    red, green, blue = _rgb(colour)
    return f"rgba({red},{green},{blue},{opacity})"


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def plain(text: object) -> str:
    """A text as plotly shows it, which reads some markup."""
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
