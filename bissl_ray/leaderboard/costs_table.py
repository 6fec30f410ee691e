"""What a sweep has cost, as a table."""

from collections.abc import Sequence
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.text import Text

from bissl_ray.leaderboard.columns import Column
from bissl_ray.leaderboard.costs import EXPLORING, Costs
from bissl_ray.leaderboard.numbers import count, duration, size
from bissl_ray.leaderboard.render import Line, fitting_table

_COLUMNS: Final = (
    Column("step", 100, lambda row: row["what"], number=False),
    Column("runs", 90, lambda row: str(row["runs"])),
    Column("time", 99, lambda row: duration(row["seconds"])),
    Column("GPU h", 80, lambda row: "" if not row["gpu_seconds"] else f"{row['gpu_seconds'] / 3600:.2f}"),
    Column("HVPs", 70, lambda row: count(row["products"]) if row["products"] else ""),
    Column("peak memory", 60, lambda row: size(row["peak_memory"])),
)


def costs_table(found: Costs, console: Console) -> RenderableType:
    """Lay out what a sweep has cost, for a console."""
    lines = cost_lines(found)
    told = fitting_table(f"{found.sweep} · cost", lines, cost_columns(lines), console)
    return Group(told, *([Text(found.sentence)] if found.sentence else []))


def cost_lines(found: Costs) -> list[Line]:
    """A line for each step, those of exploring's rungs below it, and one for all of it."""
    lines = []
    for step in found.steps:
        lines.append(Line(vars(step), None, ends_section=False))
        of_it = found.rungs if step.what == EXPLORING else ()
        lines += [Line({**vars(rung), "what": f"  {rung.what}"}, "dim", ends_section=False) for rung in of_it]
    lines[-1] = lines[-1]._replace(ends_section=True)
    lines.append(Line({**vars(found.total), "what": "in all"}, "bold", ends_section=False))
    return lines


def cost_columns(lines: Sequence[Line]) -> list[Column]:
    """The columns that have something to say about these lines."""
    return [column for column in _COLUMNS if any(column.cell(line.row) for line in lines)]
