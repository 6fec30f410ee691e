"""How far a fetch is: a bar where standard error is a terminal, one plain line elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int, int | None], None]
"""Is told how many bytes there are, and of how many; None: nobody knows."""


@contextmanager
def meter(what: str) -> Iterator[Advance]:
    """Show a fetch for the duration of a `with` block.

    Args:
        what: is fetched.
    """
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        say(f"fetching {what}")
        yield _unseen
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(bar_width=24), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    console.print(f"fetching {what}", markup=False, highlight=False, soft_wrap=True)
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _unseen(_done: int, _total: int | None) -> None:
    """Nothing is drawn where nobody looks."""


def say(line: str) -> None:
    """Print a line on standard error."""
    from rich.console import Console

    Console(stderr=True).print(line, markup=False, highlight=False, soft_wrap=True)


def size_in_words(size: int) -> str:
    """A number of bytes as a person reads it."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}" if unit != "bytes" else f"{size} bytes"
        size /= 1000  # type: ignore[assignment]
    return f"{size:.3g} GB"
