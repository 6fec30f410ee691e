"""The trials that run: where each is, its scores as a line, and whether it does well."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from rich.table import Table
from rich.text import Text

from bissl_ray.leaderboard.diagnostics import bars
from bissl_ray.leaderboard.marks import IDENTITY_MARK, UNSOLVED_FROM, UNSOLVED_MARK, acts_as_identity
from bissl_ray.leaderboard.numbers import duration
from bissl_ray.metrics import of_objective
from bissl_ray.progress import Track
from bissl_ray.store.schema import Row
from bissl_ray.words import PARAMETER_PREFIX, Kind, Status, Step

_SILENT: Final = 5.0
_SILENT_S: Final = 60.0
"""Without a report for so many times as long as one took so far, and for no less than this."""
_STEPS: Final = {Step.SEARCH: "explore", Step.TUNING: "tuning", Step.SEEDS: "seeds"}
_WIDEST_LINE: Final = 40
_NARROWEST_LINE: Final = 6
_GAP: Final = 2


class Run(NamedTuple):
    """A trial that runs.

    Attributes:
        row: its own, of the store.
        track: what it has reported.
    """

    row: Row
    track: Track


def running(trials: Sequence[Row], tracks: Mapping[str, Track]) -> list[Run]:
    """The trials under way, in the order in which they were proposed."""
    return [
        Run(row, tracks[row["trial"]]) for row in trials if row["status"] == Status.RUNNING and row["trial"] in tracks
    ]


def running_table(runs: Sequence[Run], width: int, lines: int) -> Table:
    """Lay them out, a line each; those for which there is no room are counted."""
    shown = runs if len(runs) <= lines else runs[: max(lines - 1, 1)]
    told = []
    for row, track in shown:
        scores = track.scores
        last = of_objective(row["objective_name"]).score(scores[-1]) if scores else ""
        told.append((Text(row["trial"], style="bold"), Text(where(row, track)), Text(last), Text(*health(row, track))))
    others = sum(max(cell.cell_len for cell in cells) + _GAP for cells in zip(*told, strict=True))
    line = min(width - others, _WIDEST_LINE)
    grid = Table.grid(padding=(0, _GAP))
    for _ in range(5):
        grid.add_column(no_wrap=True, overflow="ellipsis")
    for (_, track), (name, place, score, well) in zip(shown, told, strict=True):
        drawn = bars(track.scores, line) if line >= _NARROWEST_LINE else ""
        grid.add_row(name, place, drawn, score, well)
    if len(shown) < min(len(runs), lines):
        grid.add_row("", Text(f"and {len(runs) - len(shown)} more", style="dim"))
    return grid


def where(row: Row, track: Track) -> str:
    """How far a trial is: "alternation 12/60", "control tuning, epoch 3/40"."""
    last = track.last
    step = _STEPS.get(row["step"], str(row["step"]))
    if row["phase"] == Kind.CONTROL:
        step = f"control {step}"
    if last.get("stage") == "finetune":
        # The control's are prolonged by the labelled images that BiSSL sees.
        total = None if row["phase"] == Kind.CONTROL else row.get(f"{PARAMETER_PREFIX}finetune_epochs")
        return f"{step}, epoch {_of(last.get('epoch'), total)}"
    reached = last.get("alternation") or (row["alternations"] if track.scores else None)
    if reached is None:
        return f"{step}, begins"
    place = f"alternation {_of(reached, row.get(f'{PARAMETER_PREFIX}alternations'))}"
    return place if row["step"] == Step.SEARCH else f"{step}, {place}"


def _of(done: int | None, total: int | None) -> str:
    return f"{done}" if total is None else f"{done}/{total}"


def health(row: Row, track: Track, now: datetime | None = None) -> tuple[str, str]:
    """What a trial's last report says of how it does: in words, and how these are drawn.

    Args:
        row: its own.
        track: what it has reported.
        now: the time; None: this moment.
    """
    last = track.last
    if not last:
        return "no report yet", "dim"
    losses = (last.get("lower_loss"), last.get("upper_loss"), last.get("train_loss"))
    if any(loss is not None and not math.isfinite(loss) for loss in losses):
        return "loss is not finite", "red"
    silent = _silent_for(track, now or datetime.now(UTC))
    if silent is not None:
        return f"no report for {duration(silent)}", "yellow"
    residual, change = last.get("cg_residual"), row["implicit_change"]
    if residual is not None and residual >= UNSOLVED_FROM:
        return f"{UNSOLVED_MARK} unsolved: residual {residual:.2g}", "yellow"
    if acts_as_identity(change) and row.get(f"{PARAMETER_PREFIX}cg_iterations") != 0:
        return f"{IDENTITY_MARK} acts as identity", "yellow"
    if last.get("negative_curvature"):
        return "negative curvature", "yellow"
    if (attempts := last.get("attempts") or row["attempts"] or 1) > 1:
        return f"ok, attempt {attempts}", "yellow"
    return "ok", "green"


def _silent_for(track: Track, now: datetime) -> float | None:
    """Seconds since the last report, where it is late; None: it is not, or nobody knows."""
    last, reports = track.last, len(track.scores)
    at, took = last.get("reported_at"), last.get("seconds")
    if at is None or took is None:
        return None
    since = (now - at).total_seconds()
    return since if since > max(_SILENT * took / max(reports, 1), _SILENT_S) else None
