"""The console of every verb: rich's, with stand-ins where the encoding lacks a character, and no redraw off a screen.

The stream would replace characters by itself (`streams`), but after rich has laid out its lines, and "+/-" is wider
than "±". So a text is brought to what the stream holds before it is measured.
"""

import os
import re
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import replace
from typing import Any, Final

from rich.box import Box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table
from rich.text import Span, Text

from bissl_ray.addresses import sayable
from bissl_ray.cli.plain_text import encodable

_CONTROLS: Final = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]")
"""What moves the cursor or turns the line around: text of a file or of another process may hold it."""
_WIDER_THAN_ANY_TABLE: Final = 10_000
_PLAIN_BOX: Final = Box("\n".join(["    ", "    ", " -- ", "    ", "    ", "    ", "    ", "    "]) + "\n", ascii=True)
"""SIMPLE_HEAD without its line's character; rich's own replacement draws a frame around every cell."""


class Terminal(Console):
    """Standard output or standard error. `is_interactive`: a screen whose lines can be drawn again."""

    def __init__(self, *, stderr: bool = False) -> None:
        """Look at the stream and the environment: NO_COLOR, FORCE_COLOR, TERM=dumb, COLUMNS."""
        # A width of nothing would print nothing.
        no_width = os.environ.get("COLUMNS", "1").strip("0") == ""
        super().__init__(stderr=stderr, width=80 if no_width else None)
        # FORCE_COLOR asks for colours in a log; a picture that is redrawn would fill it.
        self.is_interactive = self.is_interactive and self.file.isatty()

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As rich's."""
        return super().render(self._plain(renderable), options)

    def measure(self, renderable: RenderableType, *, options: ConsoleOptions | None = None) -> Measurement:
        """As rich's."""
        return super().measure(self._plain(renderable), options=options)

    def render_str(self, text: str, **options: Any) -> Text:
        """As rich's."""
        return self._plain_text(super().render_str(text, **options))

    def on_broken_pipe(self) -> None:
        """Leave it to `main`, as of any other print."""
        raise

    def narrowed(self, table: Table, leave_out: Sequence[str]) -> Table:
        """Leave out columns of a table, in the order of these headings, until the rest fits, folded between words."""
        for heading in leave_out:
            if self._least_width(table) <= self.width:
                break
            kept = [column for column in table.columns if str(column.header).strip() != heading]
            table.columns = [replace(column, _index=place) for place, column in enumerate(kept)]
        return table

    def _least_width(self, table: Table) -> int:
        """The width in which nothing is folded but between words, and there only in columns that may be."""
        unlimited = self.options.update_width(_WIDER_THAN_ANY_TABLE)
        least = self.measure(table, options=unlimited).minimum
        for column in table.columns:
            if column.no_wrap:
                cells = [self.measure(cell, options=unlimited) for cell in (column.header, *column.cells)]
                least += max(cell.maximum for cell in cells) - max(cell.minimum for cell in cells)
        return least

    def _plain(self, renderable: Any) -> Any:
        if isinstance(renderable, Text):
            return self._plain_text(renderable)
        if not isinstance(renderable, Table):
            return renderable
        table = copy(renderable)
        table.columns = [
            replace(column, header=self._cell(column.header), _cells=[*map(self._cell, column._cells)])
            for column in renderable.columns
        ]
        if table.box is not None and not self.encoding.startswith("utf"):
            table.box = _PLAIN_BOX
        return table

    def _cell(self, content: Any) -> Any:
        """A cell that is folded where it would be cut; its column says only who gives way first."""
        if isinstance(content, str):
            content = self.render_str(content, highlight=False)
        if not isinstance(content, Text):
            return content
        folded = self._plain_text(content).copy()
        folded.no_wrap, folded.overflow = False, "fold"
        return folded

    def _plain_text(self, text: Text) -> Text:
        """The text with stand-ins, its styles where they were."""
        if encodable(text.plain, self.encoding) == text.plain and not _CONTROLS.search(text.plain):
            return text
        pieces = [
            sayable(character) if _CONTROLS.match(character) else encodable(character, self.encoding)
            for character in text.plain
        ]
        places = [0]
        for piece in pieces:
            places.append(places[-1] + len(piece))
        plain = text.blank_copy("".join(pieces))
        plain.spans = [Span(places[span.start], places[span.end], span.style) for span in text.spans]
        return plain
