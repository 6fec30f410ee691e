"""Figures and tables of a comparison, and of several sweeps beside each other."""

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from bissl_ray.leaderboard.comparison.cases import CaseResult, ComparisonBoard
from bissl_ray.leaderboard.comparison.findings import findings, notes
from bissl_ray.leaderboard.comparison.following import told_settings
from bissl_ray.leaderboard.comparison.render import case_columns, case_rows, case_title
from bissl_ray.leaderboard.numbers import setting
from bissl_ray.metrics import Metric
from bissl_ray.report.elements import Plot, board_table, bullets
from bissl_ray.report.exploring import history
from bissl_ray.report.facts import SweepFacts
from bissl_ray.report.looks import BISSL, COLOURS, CONTROL, axis, plain, styled
from bissl_ray.statistics import Estimate

_ROW: Final = 34  # pixels
_MOST_POINTS: Final = 500


def comparison_tables(board: ComparisonBoard) -> str:
    """A table per dataset, what was found over all of it, and what to know about the figures."""
    parts = []
    for _, group in groupby(board.cases, key=lambda case: case.facts.dataset):
        cases = list(group)
        rows = case_rows(cases)
        kinds = ["" if row["first"] else "control" for row in rows]
        parts.append(board_table(rows, case_columns(cases), kinds, case_title(board, cases)))
    return "".join(parts) + bullets(findings(board), "found") + bullets(notes(board), "notes")


def comparison_plots(board: ComparisonBoard) -> list[Plot]:
    """The gain in each case, the scores of both sides, and the gain by the fine-tuning that follows."""
    cases = [case for case in board.cases if case.gain is not None]
    if not cases:
        why = "no seed has run to its end on both sides of a case yet."
        return [Plot(f"{board.name}-gains", "BiSSL's gain", None, why, width="whole")]
    plots = []
    for number, (title, alike) in enumerate(_by_metric(cases)):
        plots += [_gains(board, alike, title, number), _scores(board, alike, title, number)]
    following = [case for case in cases if len(case.following) + (case.frozen is not None) > 1]
    return [*plots, *([_following(board, following)] if following else [])]


def together(sweeps: Sequence[SweepFacts]) -> list[Plot]:
    """Several sweeps in one figure: what each had found after so many trials."""
    import plotly.graph_objects as go

    plot = Plot("together", "Best score so far, sweep by sweep", None, width="whole")
    known = [each for each in sweeps if each.study is not None and any(t.values for t in each.study.trials)]
    if len(known) < 2:
        return []
    if len({(each.metric, each.dataset) for each in known}) > 1:
        return [plot.without("the sweeps differ in dataset or metric: their scores don't compare.")]
    figure = go.Figure()
    for place, each in enumerate(known):
        assert each.study is not None
        _, best = history(each.study.sampled(_MOST_POINTS)).data
        figure.add_trace(best)
        line = {
            "color": COLOURS[place % len(COLOURS)],
            "shape": "hv",
            "dash": "solid" if place < len(COLOURS) else "dot",
        }
        figure.data[-1].update(name=plain(each.name), mode="lines+markers", marker={"size": 4}, line=line)
    styled(figure, xaxis_title="trial, in the order proposed", yaxis_title=axis(known[0].metric), showlegend=True)
    words = "Of trials that ran to their end, before fine-tuning: a higher line is no better model yet."
    return [Plot(plot.key, plot.title, figure, words, width="whole")]


def _gains(board: ComparisonBoard, cases: Sequence[CaseResult], title: str, number: int) -> Plot:
    import plotly.graph_objects as go

    metric, times = cases[0].metric, 100.0 if cases[0].metric.share else 1.0
    labels, figure = _labels(cases), go.Figure()
    for place, case in enumerate(cases):
        figure.add_scatter(
            x=[times * gain for gain in case.gains.values()],
            y=[place + 0.22] * len(case.gains),
            text=[f"seed {seed}" for seed in case.gains],
            mode="markers",
            marker={"color": CONTROL, "size": 5, "opacity": 0.7},
            hovertemplate="%{text}: %{x:+.3~g}<extra></extra>",
            name="seeds",
            showlegend=place == 0,
        )
    gains = [case.gain for case in cases if case.gain is not None]
    figure.add_scatter(
        x=[times * gain.mean for gain in gains],
        y=list(range(len(cases))),
        error_x=_whiskers(gains, times),
        text=[plain(case.sentence) for case in cases],
        mode="markers",
        marker={"size": 9, "color": BISSL, "symbol": [_symbol(case) for case in cases]},
        hovertemplate="%{x:+.3~g}<extra></extra>",
        name="mean and 95% interval",
    )
    figure.add_vline(x=0, line={"color": CONTROL, "width": 1.2})
    unit_word = "points" if metric.share else metric.name
    styled(figure, xaxis_title=f"BiSSL's gain, {unit_word}", margin={"l": 20, "r": 16, "t": 30, "b": 48})
    figure.update_yaxes(tickvals=list(range(len(cases))), ticktext=labels, autorange="reversed", automargin=True)
    words = "Right of 0: BiSSL is better. Paired over seeds. Hollow: seen on the validation split alone."
    return Plot(f"{board.name}-gains{number}", f"BiSSL's gain{title}", figure, words, _height(cases), "half", 340)


def _scores(board: ComparisonBoard, cases: Sequence[CaseResult], title: str, number: int) -> Plot:
    import plotly.graph_objects as go

    metric = cases[0].metric
    times, figure = abs(metric.objective(100.0 if metric.share else 1.0)), go.Figure()
    for name, side, colour, symbol, shift in (
        ("BiSSL", "bissl", BISSL, "circle", -0.12),
        ("control", "control", CONTROL, "square", 0.12),
    ):
        scores: list[Estimate] = [getattr(case, side).score for case in cases]
        figure.add_scatter(
            x=[times * metric.objective(score.mean) for score in scores],
            y=[place + shift for place in range(len(scores))],
            error_x=_whiskers(scores, times),
            mode="markers",
            marker={"size": 8, "color": colour, "symbol": symbol},
            name=name,
            hovertemplate="%{x:.4~g}<extra></extra>",
        )
    styled(figure, xaxis_title=axis(metric), margin={"l": 20, "r": 16, "t": 30, "b": 48})
    labels = _labels(cases)
    figure.update_yaxes(tickvals=list(range(len(cases))), ticktext=labels, autorange="reversed", automargin=True)
    words = "Means over the seeds that both sides have, with their 95% intervals."
    return Plot(f"{board.name}-scores{number}", f"Scores{title}", figure, words, _height(cases), "half", 340)


def _following(board: ComparisonBoard, cases: Sequence[CaseResult]) -> Plot:
    import plotly.graph_objects as go

    figure = go.Figure()
    names = list(dict.fromkeys(name for case in cases for one in case.following for name in told_settings(one.point)))
    for place, case in enumerate(cases):
        times = 100.0 if case.metric.share else 1.0
        points = [("none", case.frozen)] if case.frozen is not None else []
        points += [(_point(one.point), one.gain) for one in case.following]
        figure.add_scatter(
            x=[name for name, _ in points],
            y=[times * gain.mean for _, gain in points],
            error_y=_whiskers([gain for _, gain in points], times),
            mode="lines+markers",
            line={"color": COLOURS[place % len(COLOURS)]},
            name=plain(f"{case.facts.dataset}, {case.facts.checkpoint}"),
        )
    figure.add_hline(y=0, line={"color": CONTROL, "width": 1.2})
    styled(
        figure, xaxis_title=f"fine-tuning that follows{_by(names)}", yaxis_title="gain on validation", showlegend=True
    )
    figure.update_xaxes(type="category")
    words = (
        "Against plain fine-tuning at the same point of the fine-tuning search, from a frozen backbone ('none', by a "
        "linear probe) on. One run each has no interval."
    )
    return Plot(f"{board.name}-following", "The gain by the fine-tuning that follows", figure, words, 400, "whole", 600)


def _by_metric(cases: Sequence[CaseResult]) -> list[tuple[str, list[CaseResult]]]:
    """Cases whose figures share an axis, with how a title ends where there are several."""
    metrics: dict[Metric, list[CaseResult]] = {}
    for case in cases:
        metrics.setdefault(case.metric, []).append(case)
    return [(f", {metric.title}" if len(metrics) > 1 else "", own) for metric, own in metrics.items()]


def _labels(cases: Sequence[CaseResult]) -> list[str]:
    """What tells the cases apart, a line or two each."""
    datasets = {case.facts.dataset for case in cases}
    return [
        plain(" · ".join([*([case.facts.dataset] if len(datasets) > 1 else []), case.facts.checkpoint]))
        + f"<br>against {plain(case.against)}"
        for case in cases
    ]


def _height(cases: Sequence[CaseResult]) -> int:
    return 130 + 2 * _ROW * len(cases)


def _whiskers(values: Sequence[Estimate], times: float) -> dict[str, object]:
    return {"array": [abs(times) * (value.half_width or 0.0) for value in values], "thickness": 1.5, "width": 4}


def _symbol(case: CaseResult) -> str:
    return "circle-open" if case.split == "validation" else "circle"


def _by(names: Sequence[str]) -> str:
    return f": {', '.join(names)}" if names else ""


def _point(point: dict[str, object]) -> str:
    return plain(" ".join(setting(point[name]) for name in told_settings(point)) or "as tuned")
