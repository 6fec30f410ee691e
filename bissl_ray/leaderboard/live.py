"""The board while a sweep runs: a picture that redraws in a terminal, plain lines everywhere else."""

import re
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bissl_ray.leaderboard.columns import columns
from bissl_ray.leaderboard.marks import marks_explained
from bissl_ray.leaderboard.numbers import duration
from bissl_ray.leaderboard.ranking import rank
from bissl_ray.leaderboard.render import board_lines, fitting_table
from bissl_ray.metrics import Metric, of_objective
from bissl_ray.progress import Event, Note, SweepProgress

_FIGURES: Final = re.compile(r"\d+")
_AROUND_ROWS: Final = 6  # lines of a table that are no rows: heading, rules, a section's end, a spare


class LiveBoard:
    """A view of a sweep: `with LiveBoard(console, "cars") as board: board.show(event)`.

    In a terminal the picture is redrawn in place and fits its height and width. Elsewhere one plain line
    is printed when a run has ended, the phase has changed or there is trouble, with no control codes.
    Notes are printed above, and stay.
    """

    def __init__(self, console: Console, title: str) -> None:
        """Prepare the board.

        Args:
            console: where to draw.
            title: name of the sweep and what it searches.
        """
        self._console = console
        self._title = title
        self._live: Live | None = None
        if console.is_interactive:
            # The last picture goes when the sweep ends: the board that follows says it all.
            self._live = Live(console=console, auto_refresh=False, vertical_overflow="ellipsis", transient=True)
        self._said: tuple[object, ...] | None = None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, event: Event) -> None:
        """Draw where the sweep stands, or print a note."""
        match event:
            case SweepProgress():
                self._draw(event)
            case Note(line):
                self._print(line)

    def _draw(self, progress: SweepProgress) -> None:
        if self._live is not None:
            self._live.update(self._picture(progress), refresh=True)
            return
        # How many rows wait is no news.
        trouble = _FIGURES.sub("", progress.trouble or "")
        news = (progress.sweep, progress.phase, progress.done, progress.failed, trouble, progress.doing is None)
        if news != self._said:
            self._said = news
            self._print(_line(progress))

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _picture(self, progress: SweepProgress) -> RenderableType:
        heading = Text.assemble((self._title, "bold"), " · ", (_phase(progress), "cyan"))
        bar = Table.grid(padding=(0, 2), expand=True)
        bar.add_column(ratio=1)
        bar.add_column(no_wrap=True)
        done = f"{progress.done} of {progress.total}"
        bar.add_row(ProgressBar(max(progress.total, 1), progress.done, complete_style="cyan"), Text(done, style="bold"))
        parts: list[RenderableType] = [heading, bar, Text(" · ".join(_counts(progress)), style="dim")]
        if progress.best is not None:
            trial, score = progress.best
            parts.append(Text.assemble("best so far ", (_metric(progress).score(score), "bold green"), f"  {trial}"))
        if progress.doing is not None:
            parts.append(Text(progress.doing, style="dim"))
        if progress.trouble is not None:
            parts.append(Text(progress.trouble, style="bold red"))
        rows = rank(progress.trials())[: self._console.height]
        notes = [Text(line, style="dim") for line in marks_explained(rows)]
        taken = len(self._console.render_lines(Group(*parts, *notes), pad=False)) + _AROUND_ROWS
        rows = rows[: max(self._console.height - taken, 1)]
        if rows:
            parts.append(fitting_table("", board_lines(rows), columns(rows), self._console))
        for part in (*parts, *notes):
            if isinstance(part, Text):
                # Else the picture is cut where it is drawn below a note, which the terminal folds.
                part.no_wrap, part.overflow = False, "fold"
        return Group(*parts, *notes)


def _counts(progress: SweepProgress) -> list[str]:
    """Say what runs and what went wrong, and the time: only what there is to say."""
    counts = [f"{progress.running} running", *(f"{count} of {name}" for name, count in progress.beside.items())]
    counts += [f"{progress.paused} paused"] if progress.paused else []
    counts += [f"{progress.pruned} pruned"] if progress.pruned else []
    counts += [f"{progress.failed} failed"] if progress.failed else []
    counts += [f"{duration(progress.elapsed)} elapsed"]
    return counts if progress.left is None else [*counts, f"about {duration(progress.left)} left"]


def _metric(progress: SweepProgress) -> Metric:
    return of_objective(progress.objective_name)


def _phase(progress: SweepProgress) -> str:
    return progress.phase if progress.sweep is None else f"{progress.sweep}: {progress.phase}"


def _line(progress: SweepProgress) -> str:
    parts = [f"{_phase(progress)}: {progress.done} of {progress.total} done", *_counts(progress)]
    if progress.best is not None:
        parts.append(f"best {_metric(progress).score(progress.best[1])} ({progress.best[0]})")
    if progress.doing is not None:
        parts.append(progress.doing)
    if progress.trouble is not None:
        parts.append(progress.trouble)
    return ", ".join(parts)
