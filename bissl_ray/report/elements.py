"""Pieces of the page: escaped text, tables, figures. Nothing of a storage gets into the page but through here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Final, Literal

from bissl_ray.addresses import sayable
from bissl_ray.leaderboard.columns import Column
from bissl_ray.store.schema import Row
from bissl_ray.words import PARAMETER_PREFIX

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Width = Literal["whole", "half", "third"]
_OPTIONAL_BELOW: Final = 24
"""Columns of a lower priority are left out on paper, and so are settings, of which it has a table of its own."""


def text(value: object) -> str:
    """A text as the page may hold it: without secrets, control characters and markup."""
    return escape(sayable(str(value)))


def paragraph(value: object, kind: str = "") -> str:
    """One paragraph; nothing for an empty text."""
    return f"<p{_kind(kind)}>{text(value)}</p>" if str(value) else ""


def bullets(lines: Iterable[object], kind: str = "") -> str:
    """A list; nothing for no lines."""
    items = "".join(f"<li>{text(line)}</li>" for line in lines)
    return f"<ul{_kind(kind)}>{items}</ul>" if items else ""


def code(value: str) -> str:
    """Lines to be copied, as they are but for secrets."""
    return f"<pre><code>{chr(10).join(text(line) for line in value.splitlines())}</code></pre>"


def pairs(facts: Iterable[tuple[str, object]], kind: str = "") -> str:
    """Facts with their names; those without a value are left out."""
    told = [
        f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in facts if value not in ("", None)
    ]
    return f"<dl{_kind(kind)}>{''.join(told)}</dl>" if told else ""


def folded(title: str, inner: str) -> str:
    """What is shown when it is asked for, and on paper; nothing around nothing."""
    return f"<details><summary>{text(title)}</summary>{inner}</details>" if inner else ""


def section(name: str, title: str, *inner: str, level: int = 2) -> str:
    """A section with a heading that links lead to."""
    return f'<section id="{escape(name)}"><h{level}>{text(title)}</h{level}>{"".join(inner)}</section>'


def board_table(rows: Sequence[Row], columns: Sequence[Column], kinds: Sequence[str], caption: str = "") -> str:
    """Rows through the columns of a board.

    Args:
        rows: of the board.
        columns: what of them is shown.
        kinds: how each row looks, a class of the style sheet.
        caption: above it.
    """
    lines = [[column.cell(row) for column in columns] for row in rows]
    classes = [" ".join(["n"] * c.number + ["opt"] * _is_optional(c)) for c in columns]
    return table([column.header for column in columns], lines, classes, kinds, caption)


def table(
    headers: Sequence[str],
    lines: Sequence[Sequence[object]],
    classes: Sequence[str] = (),
    kinds: Sequence[str] = (),
    caption: str = "",
) -> str:
    """A table that scrolls sideways where it is wider than the page.

    Args:
        headers: of the columns.
        lines: cells.
        classes: of each column; "n": numbers, "opt": left out on paper.
        kinds: classes of each line.
        caption: above it.
    """
    of = [*classes, *[""] * (len(headers) - len(classes))]
    head = "".join(f'<th scope="col"{_kind(kind)}>{text(name)}</th>' for name, kind in zip(headers, of, strict=True))
    every = [*kinds, *[""] * (len(lines) - len(kinds))]
    body = "".join(
        f"<tr{_kind(kind)}>{''.join(f'<td{_kind(c)}>{text(v)}</td>' for v, c in zip(line, of, strict=True))}</tr>"
        for line, kind in zip(lines, every, strict=True)
    )
    title = f"<caption>{text(caption)}</caption>" if caption else ""
    return f'<div class="wide"><table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


@dataclass(frozen=True)
class Plot:
    """A figure of the page, or why there is none.

    Attributes:
        key: unique on the page, and the name of its PNG.
        title: above it.
        figure: of plotly; None: it can't be drawn.
        words: below it, what it shows; without a figure, why there is none.
        height: pixels.
        width: of the page.
        least: pixels that it needs; where there are fewer it scrolls sideways.
        main: whether it is one of those that are written as PNG.
        order: which are left out first where the page would be too large: the largest.
    """

    key: str
    title: str
    figure: "Figure | None"
    words: str = ""
    height: int = 360
    width: Width = "half"
    least: int = 0
    main: bool = True
    order: int = 1

    def without(self, why: str) -> "Plot":
        """The same, not drawn."""
        return replace(self, figure=None, words=why)


def plot_html(plot: Plot) -> str:
    """The place of a figure, which the page's script draws, or the sentence why there is none."""
    title = f"<h4>{text(plot.title)}</h4>"
    if plot.figure is None:
        return f'<figure class="none {plot.width}">{title}<p>Not drawn: {text(plot.words)}</p></figure>'
    least = f"min-width:{plot.least}px;" if plot.least else ""
    place = f'<div class="plot" id="{escape(plot.key)}" style="{least}height:{plot.height}px"></div>'
    caption = f"<figcaption>{text(plot.words)}</figcaption>" if plot.words else ""
    return f'<figure class="{plot.width}">{title}<div class="wide">{place}</div>{caption}</figure>'


def plots_html(plots: Sequence[Plot]) -> str:
    """Figures beside each other, as many as the page is wide enough for."""
    return f'<div class="plots">{"".join(map(plot_html, plots))}</div>' if plots else ""


def _is_optional(column: Column) -> bool:
    return column.priority < _OPTIONAL_BELOW or column.key.startswith(PARAMETER_PREFIX)


def _kind(kind: str) -> str:
    return f' class="{escape(kind)}"' if kind else ""
