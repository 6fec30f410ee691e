"""A comparison as a picture: the gain with its interval, over checkpoints or over datasets."""

import uuid
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bissl_ray.errors import BadInputError
from bissl_ray.leaderboard.comparison.cases import CaseResult, ComparisonBoard
from bissl_ray.metrics import Metric
from bissl_ray.statistics import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SUFFIXES: Final = (".svg", ".png", ".pdf")
# Okabe and Ito's colours, told apart by people who see some colours alike.
_COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
_BISSL, _FINETUNING = "#0072B2", "#999999"
_SPREAD: Final = 0.5
"""Share of a place on the x axis that series beside each other take."""
_BESIDE: Final = 0.06
"""How far the dots of seeds stand beside their interval, in steps of the x axis."""
_MOST_IN_A_PANEL: Final = len(_COLOURS)
_PANELS_IN_A_ROW: Final = 4
_LONG_TICKS: Final = 60  # letters


def check_plot(path: Path) -> None:
    """Make sure, before anything starts, that a picture can be written.

    Raises:
        BadInputError: another kind of file, no such folder, or no matplotlib.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise BadInputError(f"--plot {path}: expected a file that ends in {', '.join(_SUFFIXES[:-1])} or .pdf")
    if not path.parent.is_dir():
        raise BadInputError(f"--plot {path}: found no folder {path.parent}; make it first")
    if path.is_dir():
        raise BadInputError(f"--plot {path}: found a folder, expected the name of a file")
    if find_spec("matplotlib") is None:
        raise BadInputError("--plot takes matplotlib, which is not installed: pip install 'bissl-ray[plot]'")


def write_plot(board: ComparisonBoard, path: Path) -> None:
    """Draw a comparison and write the picture whole.

    One dataset: the scores of both pipelines over the checkpoints, and the gain below; from one checkpoint against
    several controls: the gain over each. Several datasets: the gain of each over the checkpoints, or over the datasets
    where there is one checkpoint. Small dots are seeds.

    Args:
        board: a comparison with a gain in one case or more.
        path: ends in .svg, .png or .pdf.

    Raises:
        BadInputError: there is nothing to draw yet.
        OSError: the file can't be written.
    """
    import matplotlib as mpl

    cases = [case for case in board.against_plain if case.gain is not None]
    every = [case for case in board.cases if case.gain is not None]
    if not cases:
        raise BadInputError(f"--plot {path}: no seed has run to its end on both sides yet, there is nothing to draw")
    style: dict[Any, Any] = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    with mpl.rc_context(style | {"svg.fonttype": "none"}):
        figure = _against_each(every) if len(cases) == 1 < len(every) else _figure(cases)
        aside = path.with_name(f".{path.stem}-{uuid.uuid4().hex[:8]}{path.suffix}")
        try:
            figure.savefig(aside, dpi=200)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)


def _figure(cases: Sequence[CaseResult]) -> "Figure":
    """One panel, or one above the other for one dataset, or one for each of many datasets."""
    from matplotlib.figure import Figure

    datasets = list(dict.fromkeys(case.facts.dataset for case in cases))
    labels = list(dict.fromkeys(case.facts.checkpoint for case in cases))
    series = [[case for case in cases if case.facts.dataset == name] for name in datasets]
    one_unit = len({case.unit for case in cases}) == 1
    title = f"BiSSL against plain fine-tuning · {datasets[0] if len(datasets) == 1 else f'{len(datasets)} datasets'}"
    if len(datasets) == 1:
        figure = Figure(figsize=(max(5.0, 2.5 + 0.9 * len(labels)), 4.8), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        _draw_scores(above, cases)
        _draw_gains(below, series, labels)
    elif len(labels) == 1 and one_unit:
        title += f" · from {labels[0]}"
        figure = Figure(figsize=(min(9.0, 3.0 + 0.6 * len(datasets)), 3.6), layout="constrained")
        axes = figure.subplots()
        _draw_gains(axes, [cases], datasets, over_datasets=True)
    elif len(datasets) <= _MOST_IN_A_PANEL and one_unit:
        figure = Figure(figsize=(max(5.0, 2.5 + 0.9 * len(labels)), 3.6), layout="constrained")
        axes = figure.subplots()
        _draw_gains(axes, series, labels)
        axes.legend(frameon=False, fontsize=8, ncols=len(series))
    else:
        rows = -(-len(datasets) // _PANELS_IN_A_ROW)
        figure = Figure(figsize=(9.0, 0.6 + 1.9 * rows), layout="constrained")
        grid = figure.subplots(rows, _PANELS_IN_A_ROW, sharex=True, sharey=one_unit).flatten()
        for axes, own in zip(grid, series, strict=False):
            _draw_gains(axes, [own], labels)
            axes.set_title(own[0].facts.dataset, fontsize=9)
            if one_unit:
                axes.label_outer()
        for axes in grid[len(series) :]:
            axes.set_visible(False)
    if any(case.split == "validation" for case in cases):
        title += " · hollow: validation split"
    figure.suptitle(title, fontweight="bold", fontsize=10)
    return figure


def _against_each(cases: Sequence[CaseResult]) -> "Figure":
    """The gain over every control of one case, a line each; its own colour where the interval leaves 0 out."""
    from matplotlib.figure import Figure

    metric = cases[0].metric
    unit, ours = _unit(metric), cases[0].bissl.score
    figure = Figure(figsize=(7.0, 1.2 + 0.42 * len(cases)), layout="constrained")
    axes = figure.subplots()
    axes.axvline(0, color="black", linewidth=0.8)
    for y, case in enumerate(cases):
        assert case.gain is not None
        colour = {"wins": _BISSL, "loses": _COLOURS[1]}.get(case.outcome, _FINETUNING)
        mean, half = unit * case.gain.mean, abs(unit) * (case.gain.half_width or 0.0)
        face = "white" if case.split == "validation" else colour
        axes.errorbar(mean, y, xerr=half, fmt="o", color=colour, markerfacecolor=face, capsize=3, linewidth=1.4)
        seeds = [unit * gain for gain in case.gains.values()]
        axes.plot(seeds, [y + 0.18] * len(seeds), ".", color=colour, alpha=0.5, markersize=4)
    scores = [None if case.control.score is None else metric.score(case.control.score.mean) for case in cases]
    axes.set_yticks(range(len(cases)), [f"{case.against}  {score}" for case, score in zip(cases, scores, strict=True)])
    axes.set_ylim(len(cases) - 0.5, -0.5)
    hollow = " (hollow: validation split)" if any(case.split == "validation" for case in cases) else ""
    axes.set_xlabel(f"BiSSL's gain{_one_split(cases)}, {'points' if metric.share else metric.title}{hollow}")
    title = f"BiSSL{'' if ours is None else f' ({metric.score(ours.mean)})'}"
    title += f" · {cases[0].facts.dataset} from {cases[0].facts.checkpoint}"
    figure.suptitle(title, fontweight="bold", fontsize=10)
    return figure


def _draw_scores(axes: "Axes", cases: Sequence[CaseResult]) -> None:
    metric = cases[0].metric
    unit = metric.objective(_unit(metric))  # with the sign that the figure has
    sides = (("fine-tuning", _FINETUNING, "control", "s"), ("BiSSL", _BISSL, "bissl", "o"))
    for number, (name, colour, side, marker) in enumerate(sides):
        ticks = [x + 0.08 * (2 * number - 1) for x in range(len(cases))]
        scores: list[Estimate] = [getattr(case, side).score for case in cases]
        _draw_intervals(axes, ticks, scores, cases, unit, color=colour, marker=marker, label=name)
    axes.set_ylabel(f"{metric.title}{_one_split(cases)}{', %' if metric.share else ''}")
    axes.legend(frameon=False)


def _draw_gains(
    axes: "Axes", series: Sequence[Sequence[CaseResult]], ticks: Sequence[str], over_datasets: bool = False
) -> None:
    metric = series[0][0].metric
    unit = _unit(metric)
    axes.axhline(0, color="black", linewidth=0.8)
    for number, cases in enumerate(series):
        colour = _COLOURS[number]
        shift = 0.0 if len(series) == 1 else _SPREAD * (number / (len(series) - 1) - 0.5)
        names = [case.facts.dataset if over_datasets else case.facts.checkpoint for case in cases]
        xs = [ticks.index(name) + shift for name in names]
        for x, case in zip(xs, cases, strict=True):
            seeds = [unit * gain for gain in case.gains.values()]
            axes.plot([x + _BESIDE] * len(seeds), seeds, ".", color=colour, alpha=0.5, markersize=4)
        gains = [case.gain for case in cases if case.gain is not None]
        line = "none" if over_datasets else "-"
        label = cases[0].facts.dataset
        _draw_intervals(axes, xs, gains, cases, unit, color=colour, marker="o", linestyle=line, label=label)
    axes.set_xticks(range(len(ticks)), ticks)
    axes.set_xlim(-0.6, len(ticks) - 0.4)
    if sum(map(len, ticks)) > _LONG_TICKS:
        axes.tick_params(axis="x", rotation=40)
    axes.set_ylabel("gain, points" if metric.share else "gain")


def _draw_intervals(
    axes: "Axes",
    xs: Sequence[float],
    values: Sequence[Estimate],
    cases: Sequence[CaseResult],
    unit: float,
    **style: Any,
) -> None:
    """Means with their intervals, each times the unit; hollow is what was seen on the validation split alone."""
    means = [unit * value.mean for value in values]
    halves = [abs(unit) * (value.half_width or 0.0) for value in values]
    axes.errorbar(xs, means, halves, capsize=3, linewidth=1.2, **style)
    for x, mean, case in zip(xs, means, cases, strict=True):
        if case.split == "validation":
            axes.plot([x], [mean], marker=style["marker"], color=style["color"], markerfacecolor="white", zorder=5)


def _one_split(cases: Sequence[CaseResult]) -> str:
    """The split that all figures are of; nothing where cases differ, which the markers then tell."""
    splits = {case.split for case in cases}
    return f" on the {splits.pop()} split" if len(splits) == 1 else ""


def _unit(metric: Metric) -> float:
    return 100.0 if metric.share else 1.0
