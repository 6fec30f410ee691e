"""The picture of a sweep for a terminal of any size: what is most important comes first where there is little room."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from bissl_ray.leaderboard.columns import columns
from bissl_ray.leaderboard.diagnostics import chart
from bissl_ray.leaderboard.live.room import Wants, allotted
from bissl_ray.leaderboard.live.running import running_table
from bissl_ray.leaderboard.live.scene import Order, Scene
from bissl_ray.leaderboard.live.words import counts, facts, metric_of, phase
from bissl_ray.leaderboard.marks import marks_explained
from bissl_ray.leaderboard.render import board_lines, fitting_table

_SIDE_BY_SIDE: Final = 110
"""Characters from which on the chart stands beside the trials that run."""
_GAP: Final = 3
_MOST_TROUBLE: Final = 3
_OF_A_TABLE: Final = 3
"""Lines of the board's table that are no rows: its heading, the rule below that, one for a section's end."""
_LOGGED: Final = 6
_CHART: Final = 5
_LEAST_CHART: Final = 3

Lines = list[list[Segment]]


@dataclass(frozen=True)
class Asked:
    """What the person at the keys asks of the picture.

    Attributes:
        title: of it.
        order: of the board's rows.
        keys: the line at the bottom; empty: there are none.
        help: a line on each key, in the place of everything below the head; none: it is not asked for.
        banner: what was asked of the sweep.
        since: seconds since the scene.
    """

    title: str
    order: Order = "score"
    keys: str = ""
    help: Sequence[str] = ()
    banner: str | None = None
    since: float = 0.0


class Picture:
    """A renderable, as high as its console or less, none of its lines wider than that."""

    def __init__(self, scene: Scene, asked: Asked, console: Console) -> None:
        """Lay it out for the size that the console has now."""
        self._scene, self._asked, self._console = scene, asked, console
        self._width, self._height = console.width, console.height

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """As rich's."""
        for line in self._lines():
            yield from line
            yield Segment.line()

    def _lines(self) -> Lines:
        bottom = self._one_line(Text(self._asked.keys, style="reverse dim")) if self._asked.keys else []
        room = max(self._height - len(bottom), 1)
        head = self._head()[:room]
        room -= len(head)
        if self._asked.help:
            shown = [line for text in ("", *self._asked.help) for line in self._one_line(Text(text))][:room]
        else:
            shown = self._parts(room)
        return [*head, *shown, *([[]] * (room - len(shown)) if bottom else []), *bottom]

    # What stands on top

    def _head(self) -> Lines:
        progress, since = self._scene.progress, self._asked.since
        heading = Text.assemble((self._asked.title, "bold"), " · ", (phase(progress), "cyan"))
        lines = self._one_line(heading)
        lines += self._facts(facts(progress, since))
        bar = Table.grid(padding=(0, 2), expand=True)
        bar.add_column(ratio=1)
        bar.add_column(no_wrap=True)
        done = Text(f"{progress.done} of {progress.total}", style="bold")
        bar.add_row(ProgressBar(max(progress.total, 1), progress.done, complete_style="cyan"), done)
        lines += self._rendered(bar)
        lines += self._facts(counts(progress, since))
        if progress.best is not None:
            trial, score = progress.best
            lines += self._one_line(
                Text.assemble("best so far ", (metric_of(progress).score(score), "bold green"), f"  {trial}")
            )
        others = (progress.doing, "dim"), (progress.trouble, "bold red"), (self._asked.banner, "bold yellow")
        for text, style in others:
            if text:
                lines += self._folded(Text(text, style=style))[:_MOST_TROUBLE]
        return lines

    # What stands below

    def _parts(self, room: int) -> Lines:
        """The board, the trials that run, what has happened, the best so far: in this order of importance."""
        scene = self._scene
        rows, runs, logged, drawn = len(scene.rows), len(scene.runs), len(scene.entries), len(set(scene.best)) > 1
        board = Wants(min(_OF_A_TABLE + min(rows, 3), max(room // 2 + 1, 3)) if rows else 0, _OF_A_TABLE + min(rows, 5))
        under_way = Wants(min(1 + min(runs, 4), max(room // 3, 2)) if runs else 0, 1 + runs)
        log = Wants(1 + min(logged, 2) if logged else 0, 1 + min(logged, _LOGGED))
        chart = Wants(1 + _LEAST_CHART if drawn else 0, 1 + _CHART)
        second: Callable[[int], Lines] = self._running
        if drawn and runs and self._width >= _SIDE_BY_SIDE:
            under_way, chart = Wants(1 + _LEAST_CHART, max(under_way.most, chart.most)), Wants(0, 0)
            second = self._side_by_side
        given = allotted(room, [board, under_way, log, chart])
        # The board takes what the others leave.
        given[0] += max(min(room - sum(given), rows + 2), 0) if given[0] else 0
        parts = (self._board, second, self._log, self._chart)
        return [line for part, lines in zip(parts, given, strict=True) if lines for line in part(lines)[:lines]]

    def _board(self, lines: int) -> Lines:
        rows = self._scene.sorted(self._asked.order)[: max(lines - 2, 1)]
        while True:
            drawn = self._rendered(fitting_table("", board_lines(rows), columns(rows), self._console))
            drawn = [line for line in drawn if any(segment.text.strip() for segment in line)]
            if len(drawn) <= lines or len(rows) == 1:
                break
            rows = rows[: max(len(rows) - (len(drawn) - lines), 1)]
        for note in marks_explained(rows):
            told = self._folded(Text(note, style="dim"))
            drawn += told if len(drawn) + len(told) <= lines else []
        return drawn

    def _running(self, lines: int, width: int | None = None) -> Lines:
        width = width or self._width
        table = running_table(self._scene.runs, width, lines - 1)
        return [*self._heading(f"running: {len(self._scene.runs)}", width), *self._rendered(table, width)]

    def _side_by_side(self, lines: int) -> Lines:
        right = min(self._width // 3, 50)
        left = self._width - right - _GAP
        runs, drawn = self._running(lines, left), self._chart(lines, right)
        found = []
        for place in range(max(len(runs), len(drawn))):
            begun = Segment.adjust_line_length(runs[place] if place < len(runs) else [], left)
            found.append([*begun, Segment(" " * _GAP), *(drawn[place] if place < len(drawn) else [])])
        return found

    def _log(self, lines: int) -> Lines:
        shown = list(self._scene.entries)[-min(lines - 1, _LOGGED) :]
        found = self._heading("what happened")
        for entry in shown:
            line = f"{entry.at.astimezone():%H:%M:%S} {entry.line}" if entry.at else entry.line
            found += self._one_line(Text(line, style="red" if entry.what == "failed" else ""))
        return found

    def _chart(self, lines: int, width: int | None = None) -> Lines:
        width, best = width or self._width, self._scene.best
        drawn = chart(best, min(width, 8 + 2 * len(best)), metric_of(self._scene.progress), min(lines - 1, _CHART))
        heading = self._heading(f"best so far, after each of {len(best)} whole trials", width)
        return [*heading, *(each for line in drawn for each in self._one_line(Text(line, style="green"), width))]

    # From renderables to lines

    def _heading(self, text: str, width: int | None = None) -> Lines:
        return self._one_line(Text(text, style="bold cyan"), width)

    def _one_line(self, text: Text, width: int | None = None) -> Lines:
        text.no_wrap, text.overflow = True, "ellipsis"
        return self._rendered(text, width)[:1]

    def _facts(self, told: Sequence[str]) -> Lines:
        """Short facts, as many to a line as fit whole."""
        lines: list[str] = []
        for fact in told:
            joined = f"{lines[-1]} · {fact}" if lines else fact
            if lines and cell_len(joined) <= self._width:
                lines[-1] = joined
            else:
                lines.append(fact)
        return [drawn for line in lines for drawn in self._folded(Text(line, style="dim"))]

    def _folded(self, text: Text) -> Lines:
        text.no_wrap, text.overflow = False, "fold"
        return self._rendered(text)

    def _rendered(self, renderable: RenderableType, width: int | None = None) -> Lines:
        options = self._console.options.update(width=width or self._width, height=None)
        return self._console.render_lines(renderable, options, pad=False)
