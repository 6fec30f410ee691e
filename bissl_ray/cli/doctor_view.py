"""What `bissl-ray doctor` shows: the machines check by check as they come, then what a storage holds."""

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.console import Console

    from bissl_ray.preflight.doctor.findings import Checkup
    from bissl_ray.preflight.machines.checks import Check

_STYLES: Final = {"damaged": "bold red", "left over": "yellow", "note": "dim"}
_VERDICTS: Final = {"ok": "green", "warning": "yellow", "failure": "bold red"}
_TOLD: Final = ("state", "place", "found", "kept")
_CHECKED: Final = ("verdict", "name", "found", "remedy")
_WIDTHS: Final = (7, 16)


def show_check(console: "Console", check: "Check") -> None:
    """Print one check, with its remedy below it."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    for width in _WIDTHS:
        grid.add_column(no_wrap=True, width=width)
    grid.add_column(overflow="fold")
    grid.add_row(Text(check.verdict, style=_VERDICTS[check.verdict]), Text(check.name, style="bold"), Text(check.found))
    if check.remedy:
        grid.add_row("", "", Text(check.remedy, style="italic"))
    console.print(grid)


def summary_of(found: "list[Check]") -> str:
    """How many checks came to what."""
    counts = Counter(str(check.verdict) for check in found)
    said = [f"{counts[name]} {name if counts[name] == 1 or name == 'ok' else name + 's'}" for name in _VERDICTS]
    checks = "1 check" if len(found) == 1 else f"{len(found)} checks"
    return f"{checks}: {', '.join(text for text in said if not text.startswith('0 '))}."


def show_checkup(console: "Console", checkup: "Checkup") -> None:
    """Print what was found in a storage, and a summary."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for finding in checkup.findings:
        state = "removed" if finding.removed else str(finding.state)
        place = f"rows of {finding.place}" if finding.what == "rows" else finding.place
        grid.add_row(Text(state, style=_STYLES[finding.state]), Text(place, style="bold"))
        for line in filter(None, (finding.found, *finding.kept.split("; "))):
            grid.add_row("", Text(line))
    if checkup.findings:
        console.print(grid)
        console.print()
    console.print(checkup_summary(checkup), highlight=False)


def checkup_summary(checkup: "Checkup") -> str:
    """What was looked at, and how much of it is damaged or left over."""
    from bissl_ray.preflight.doctor.findings import State

    what = ", ".join(f"{count:,} {name}" for name, count in checkup.checked.items() if count)
    damaged = sum(1 for _ in checkup.of(State.DAMAGED))
    left = sum(not finding.removed for finding in checkup.of(State.LEFT_OVER))
    removed = sum(finding.removed for finding in checkup.findings)
    said = [f"{damaged} damaged" if damaged else "nothing is damaged"]
    said += [f"{left} left over (--clean removes what nobody holds)"] if left else []
    said += [f"{removed} removed"] if removed else []
    return f"Checked {what or 'a storage with nothing of ours in it'}: {', '.join(said)}."


def markdown(found: "list[Check]", checkup: "Checkup | None") -> str:
    """Both as tables of Markdown."""
    told = [(_CHECKED, [asdict(check) for check in found], summary_of(found) if found else "")]
    if checkup is not None:
        told.append((_TOLD, [asdict(finding) for finding in checkup.findings], checkup_summary(checkup)))
    return "\n\n".join(part for names, rows, summary in told for part in (_table(names, rows), summary) if part)


def _table(names: tuple[str, ...], rows: list[dict[str, object]]) -> str:
    from functools import partial

    from bissl_ray.leaderboard.columns import Column
    from bissl_ray.leaderboard.render import markdown_table

    return markdown_table(rows, [Column(name, 0, partial(_cell, name), number=False) for name in names]) if rows else ""


def _cell(name: str, row: dict[str, object]) -> str:
    return str(row[name])
