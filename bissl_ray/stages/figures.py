"""How an evaluation's figures are written, in a terminal and on a page: shares in per cent, counts whole."""

from collections.abc import Mapping, Sequence

from bissl_ray.leaderboard.numbers import percent
from bissl_ray.metrics import METRICS


def heading(figure: str) -> str:
    """What stands above a figure's values."""
    return f"{METRICS[figure].title} %" if _is_share(figure) else figure


def written(figure: str, value: float | None) -> str:
    """A value of a figure; nothing for None."""
    if value is None:
        return ""
    if _is_share(figure):
        return percent(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def rows_by_class(
    names: Sequence[str], figures: Mapping[str, Sequence[float | None]]
) -> tuple[list[str], list[list[str]]]:
    """A table of the figures of each class.

    Args:
        names: of each class.
        figures: of each class, by figure.

    Returns:
        Its headings, and a row for each class.
    """
    rows = [
        [name, *(written(figure, values[number]) for figure, values in figures.items())]
        for number, name in enumerate(names)
    ]
    return ["class", *map(heading, figures)], rows


def _is_share(figure: str) -> bool:
    return figure in METRICS and METRICS[figure].share
