"""One trial in full: configuration, curve, diagnostics, why it was proposed and why it stopped."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from bissl_ray.leaderboard.alignment import EXPLAINED, alignment_lines
from bissl_ray.leaderboard.beside import beside
from bissl_ray.leaderboard.columns import parameter_names
from bissl_ray.leaderboard.configurations import finite
from bissl_ray.leaderboard.diagnose import suggestions
from bissl_ray.leaderboard.diagnostics import diagnostics, score_curve
from bissl_ray.leaderboard.marks import describe_change
from bissl_ray.leaderboard.numbers import duration, setting, size
from bissl_ray.metrics import of_objective
from bissl_ray.store.schema import Row
from bissl_ray.words import ALIGNING, PARAMETER_PREFIX, PBT, WARM, Origin, Phase

_DIGITS: Final = 6
_ORIGINS: Final[dict[str, str]] = {
    Origin.KNOWN_GOOD: "known to be good: enqueued before the search",
    Origin.TPE: "proposed by TPE from the trials before it",
    Origin.GP: "proposed by a Gaussian process from the trials before it",
    Origin.CMAES: "proposed by CMA-ES from the trials before it",
    Origin.NSGA2: "bred by NSGA-II from the trials before it",
    Origin.RANDOM: "drawn at random",
    Origin.QMC: "drawn from a quasi-random sequence",
    Origin.FIXED: "the space's own settings: nothing was searched",
    Origin.RESUMED: "taken over from an earlier run of the sweep",
    Origin.TUNING: "tunes the fine-tuning of its parent",
    Origin.SEEDS: "confirms its parent with another seed",
}


def render_trial(
    trial: Row,
    reports: Sequence[Row],
    children: Sequence[Row],
    defaults: Mapping[str, Any],
    console: Console,
    notes: Sequence[str] = (),
    again: str | None = None,
    of_sweep: Sequence[Row] = (),
) -> RenderableType:
    """Lay out one trial.

    Args:
        trial: its row.
        reports: its reports, in any order.
        children: rows of the runs that tune or confirm it.
        defaults: setting -> default; settings that differ come first and stand out.
        console: where it will be printed; gives the width.
        notes: on its configuration, a line each, such as what of it lies at the edge of what was searched.
        again: how to run it again, in words or as a command; None: it can't be.
        of_sweep: rows of all trials of its sweep, of which the best and the control are held beside it.
    """
    from bissl_ray.config.columns import settings_of_row  # takes long to import; the board does without

    known = settings_of_row(trial)
    values = {name: trial[PARAMETER_PREFIX + name] for name in parameter_names([trial])}
    # What other releases had beside is shown, too, but can't be run again.
    settings = {name: value for name, value in values.items() if name in known or value is not None}
    parts: list[RenderableType] = [
        Text.assemble((trial["trial"], "bold"), f"  {trial['dataset']} · {trial['sweep']}"),
        _facts(trial, console.width),
        _heading("Configuration"),
        _configuration(settings, defaults),
        *(Text(line) for line in notes),
    ]
    if (others := beside(trial, of_sweep, console.width)) is not None:
        parts += [_heading("Beside the best and the control"), others]
    for stage, progress in (*((stage, "alternation") for stage in ALIGNING), ("finetune", "epoch")):
        ordered = sorted(
            (row for row in reports if row["stage"] == stage and row[progress] is not None),
            key=lambda row: row[progress],
        )
        if ordered:
            parts += _stage(stage, progress, ordered, console.width)
        if stage in ALIGNING and (lines := alignment_lines(trial, ordered, max(console.width // 8, 1))):
            parts += [_heading("The lower backbone as it is, before any fine-tuning"), _pairs(lines, console.width)]
            parts.append(Text(EXPLAINED, style="dim"))
    if said := suggestions(trial, reports, children):
        parts += [_heading("What the figures suggest"), *(Text(f"- {sentence}") for sentence in said)]
    if children:
        parts += [_heading("Runs that tune or confirm it"), _children(children, console.width)]
    parts += [] if again is None else [_heading("To run it again"), Text(again)]
    if trial["phase"] == Phase.CONTROL:  # of which no sweep is made
        return Group(*parts)
    space = Text(space_of(trial["dataset"], {name: value for name, value in settings.items() if name in known}))
    return Group(*parts, _heading("Its settings as a search space, for bissl-ray sweep --space"), space)


def _heading(text: str) -> Text:
    return Text(f"\n{text}", style="bold cyan")


def _pairs(pairs: Sequence[tuple[str, str]], width: int) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True, max_width=max(width // 2, 1))
    grid.add_column(overflow="fold")
    for name, value in pairs:
        if value:
            grid.add_row(name, Text(value))
    return grid


def _facts(trial: Row, width: int) -> Table:
    status = trial["status"] + (f": {trial['status_reason']}" if trial["status_reason"] else "")
    metric, objective = of_objective(trial["objective_name"]), finite(trial["objective"])
    return _pairs(
        [
            ("status", status),
            ("proposed", _proposed(trial["origin"] or "")),
            (
                "step",
                f"{trial['step']} ({trial['phase']})" + (f" of {trial['parent']}" if trial["parent"] else ""),
            ),
            ("score", "" if objective is None else f"{metric.score(objective)} {metric.in_tables}"),
            ("test", metric.score(finite(trial["test_metric"]))),
            ("seed", setting(trial["seed"])),
            ("alternations", setting(trial["alternations"])),
            ("solving", describe_change(trial)),
            ("time", _cost(trial)),
            ("peak memory", size(trial["peak_memory"])),
            ("attempts", setting(trial["attempts"])),
            ("checkpoint", trial["checkpoint"] or ""),
        ],
        width,
    )


def _proposed(origin: str) -> str:
    if origin.startswith(PBT):
        return f"takes over from {origin.removeprefix(PBT)}, with settings near that one's"
    if origin.startswith(WARM):
        return f"drawn from what sweep {origin.removeprefix(WARM)} had found"
    return _ORIGINS.get(origin, origin)


def _cost(trial: Row) -> str:
    if trial["seconds"] is None:
        return ""
    hours = trial["gpu_seconds"]
    return duration(trial["seconds"]) + ("" if hours is None else f", {hours / 3600:.2f} GPU hours")


def _configuration(values: Row, defaults: Mapping[str, Any]) -> Group:
    changed = {name: value for name, value in values.items() if name not in defaults or defaults[name] != value}
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    for name, value in changed.items():
        was = f"default {_value(defaults[name])}" if name in defaults else ""
        grid.add_row(Text(name, style="bold"), Text(_value(value), style="bold"), Text(was, style="dim"))
    unchanged = [f"{name} {_value(value)}" for name, value in values.items() if name not in changed]
    rest = Text("at their defaults: " + ", ".join(unchanged), style="dim") if unchanged else Text()
    return Group(grid, rest)


def _value(value: Any) -> str:
    return setting(value, _DIGITS) or "none"


def _stage(stage: str, progress: str, reports: Sequence[Row], width: int) -> list[RenderableType]:
    parts: list[RenderableType] = []
    if drawn := score_curve(reports, progress, width):
        title = "Score after each alternation" if stage in ALIGNING else "Score after each epoch of fine-tuning"
        parts += [_heading(title), Text(drawn)]
    pairs = diagnostics(reports)
    if any(value for _, value in pairs):
        parts += [_heading(f"Diagnostics, first {progress} to last"), _pairs(pairs, width)]
    return parts


def _children(children: Sequence[Row], width: int) -> Table:
    """A column for each fact; where they don't fit side by side, a sentence."""
    told = [_child(row) for row in children]
    if sum(max(map(len, cells)) + 2 for cells in zip(*told, strict=True)) > width:
        return _pairs([(name, ", ".join(filter(None, facts))) for name, *facts in told], width)
    grid = Table.grid(padding=(0, 2))
    for cells in told:
        grid.add_row(*cells)
    return grid


def _child(row: Row) -> list[str]:
    metric, test = of_objective(row["objective_name"]), finite(row["test_metric"])
    return [
        row["trial"],
        row["step"],
        "" if row["seed"] is None else f"seed {row['seed']}",
        row["status"],
        metric.score(finite(row["objective"])),
        "" if test is None else f"test {metric.score(test)}",
    ]


def space_of(dataset: str, settings: Mapping[str, Any]) -> str:
    """Write a search space that holds all settings and runs them as one trial: YAML, every digit kept.

    It searches nothing, so one fine-tuning run says what several would.
    """
    lines = [f"  {name}: {_yaml(value)}" for name, value in settings.items()]
    return "\n".join([f"dataset: {dataset}", "fixed:", *lines, "protocol: {trials: 1, finalists: 1, finetune_runs: 1}"])


def _yaml(value: Any) -> str:
    """Write a scalar that a YAML reader gives back as it was; it takes 1e-06, without a point, for text."""
    if value is None or isinstance(value, bool | str):
        return json.dumps(value)
    text = repr(value) if isinstance(value, float) else str(value)
    return text.replace("e", ".0e", 1) if isinstance(value, float) and "e" in text and "." not in text else text
