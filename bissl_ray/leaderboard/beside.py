"""One trial beside the best of its sweep and the control: scores, and the settings in which they differ."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from bissl_ray.leaderboard.columns import parameter_names
from bissl_ray.leaderboard.numbers import setting, with_half
from bissl_ray.leaderboard.ranking import rank
from bissl_ray.metrics import of_objective
from bissl_ray.statistics import Estimate
from bissl_ray.store.schema import Row
from bissl_ray.words import PARAMETER_PREFIX, Kind, Phase

_FINE_TUNING = f"{PARAMETER_PREFIX}finetune"


def beside(trial: Row, of_sweep: Sequence[Row], width: int) -> Table | None:
    """A table of a trial, the best and the control; None where it is both, or there is neither.

    Args:
        trial: its row.
        of_sweep: rows of all trials of its sweep.
        width: of the console; columns that don't fit are left out from the right.
    """
    rows = rank(of_sweep)
    own = next((row for row in rows if row["trial"] == (trial["parent"] or trial["trial"])), None)
    best = next((row for row in rows if row["rank"] == 1), None)
    control = next((row for row in rows if row["kind"] == Kind.CONTROL), None)
    shown = [(row["trial"], row) for row in (own,) if row is not None] or [(trial["trial"], trial)]
    shown += [(f"the best, {best['trial']}", best)] if best is not None and best is not own else []
    shown += [(f"the control, {control['trial']}", control)] if control is not None and control is not own else []
    if len(shown) < 2:
        return None
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", no_wrap=True, style="dim")
    lines = [("score", [_score(row) for _, row in shown]), *_differing(trial, shown)]
    room = width - max(len(name) for name, _ in lines)
    kept = 0
    for place, (name, _) in enumerate(shown):
        room -= max(len(name), *(len(cells[place]) for _, cells in lines)) + 2
        kept += room >= 0 or place == 0
    for name, _ in shown[:kept]:
        table.add_column(name, justify="right", no_wrap=True)
    for name, cells in lines:
        table.add_row(name, *map(Text, cells[:kept]))
    return table if kept > 1 else None


def _score(row: Row) -> str:
    metric = of_objective(row["objective_name"])
    if row.get("objective_high") is None:
        return metric.score(row["objective"])
    mean, low, high = (row[name] for name in ("objective", "objective_low", "objective_high"))
    return with_half(Estimate(mean, low, high, row["seeds"]), lambda value: metric.score(value, unit=""), metric)


def _differing(trial: Row, shown: Sequence[tuple[str, Row]]) -> list[tuple[str, list[str]]]:
    """Settings that are not the same in all that read them; the control reads those of fine-tuning alone."""
    found = []
    for name in parameter_names([trial]):
        key = PARAMETER_PREFIX + name
        reads = [
            key.startswith(_FINE_TUNING) or not (row.get("kind") == Kind.CONTROL or row["phase"] == Phase.CONTROL)
            for _, row in shown
        ]
        values = [row.get(key) if read else None for read, (_, row) in zip(reads, shown, strict=True)]
        if len({value for value, read in zip(values, reads, strict=True) if read}) > 1:
            cells = [setting(value) or ("none" if read else "") for value, read in zip(values, reads, strict=True)]
            found.append((name, cells))
    return found
