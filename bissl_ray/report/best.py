"""Figures of the best few configurations and of the control: curves of alternations and fine-tuning, score and cost."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Final

from bissl_ray.leaderboard.columns import describe_status
from bissl_ray.leaderboard.configurations import Configuration, finite, gather
from bissl_ray.report.elements import Plot
from bissl_ray.report.facts import SweepFacts
from bissl_ray.report.looks import BISSL, COLOURS, CONTROL, axis, plain, styled, transparent, unit
from bissl_ray.store.schema import Row
from bissl_ray.words import ALIGNING, Kind, Standing

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MOST: Final = 5
"""Configurations of BiSSL that are drawn, beside the control."""
_FINETUNED: Final = 3
_FITS: Final = (("nearest neighbours (kNN)", "lower_knn"), ("linear probe", "lower_probe"))


class Best:
    """What is drawn of the first rows of a sweep's board."""

    def __init__(self, facts: SweepFacts) -> None:
        """Set up; the sweep has a trial or more."""
        self._facts, self._axis, self._unit = facts, axis(facts.metric), unit(facts.metric)
        shown = [row for row in facts.ranked if row["rank"] is not None][:MOST]
        self._control = next((row for row in facts.ranked if row["kind"] == Kind.CONTROL), None)
        self._rows = [*shown, *([] if self._control is None else [self._control])]
        names = {row["trial"] for row in self._rows}
        self._configurations = {c.head["trial"]: c for c in gather(facts.trials) if c.head["trial"] in names}
        runs = {run["trial"] for c in self._configurations.values() for run in c.runs}
        self._reports: defaultdict[str, list[Row]] = defaultdict(list)
        for report in facts.reports_of(runs):
            self._reports[report["trial"]].append(report)

    @property
    def plots(self) -> list[Plot]:
        """All of them, in the order of the page."""
        return [self._confirmed(), self._alternations(), self._finetuning(), self._fit()]

    def _key(self, name: str) -> str:
        return f"{self._facts.name}-{name}"

    def _colour(self, row: Row) -> str:
        return CONTROL if row is self._control else COLOURS[self._rows.index(row) % len(COLOURS)]

    def _label(self, row: Row) -> str:
        return plain(f"{describe_status(row)} ({row['trial']})" if row is self._control else row["trial"])

    def _confirmed(self) -> Plot:
        import plotly.graph_objects as go

        plot = Plot(self._key("confirmed"), "Score against cost, confirmed", None)
        rows = [
            row
            for row in self._facts.ranked
            if row["standing"] == Standing.CONFIRMED and row["total_seconds"] is not None
        ]
        if not rows:
            return plot.without("no configuration has been confirmed over seeds yet.")
        figure = go.Figure()
        for kind, colour, symbol, name in (
            (Kind.BISSL, BISSL, "circle", "BiSSL"),
            (Kind.CONTROL, CONTROL, "square", "control"),
        ):
            own = [row for row in rows if row["kind"] == kind]
            figure.add_scatter(
                x=[row["total_seconds"] for row in own],
                y=[self._unit * row["objective"] for row in own],
                error_y={
                    "array": [abs(self._unit) * _half(row) for row in own],
                    "thickness": 1.2,
                    "width": 3,
                },
                text=[plain(f"{row['trial']} ({row['seeds']} seeds)") for row in own],
                mode="markers",
                marker={"color": colour, "symbol": symbol, "size": 8},
                name=name,
                hovertemplate="%{text}: %{y:.4~g}, %{x:.4~g} s<extra></extra>",
            )
        figure.update_xaxes(type="log" if _spread(row["total_seconds"] for row in rows) > 20 else "linear")
        styled(figure, xaxis_title="seconds of all its runs", yaxis_title=self._axis)
        words = (
            "After fine-tuning, on validation: means over seeds with their 95% intervals. The control's time is of "
            "all its fine-tuning points, as its budget went into all of them."
        )
        return Plot(plot.key, plot.title, figure, words)

    def _alternations(self) -> Plot:
        import plotly.graph_objects as go

        plot = Plot(self._key("alternations"), "The best few: score after each alternation", None)
        figure = go.Figure()
        for row in self._rows:
            points = _curve(self._reports[row["trial"]], "alternation", ALIGNING)
            if points:
                self._line(figure, row, points)
        if not figure.data:
            return plot.without("no alternation of the best few is on disk.")
        words = "Before fine-tuning."
        if self._control is not None and not _curve(self._reports[self._control["trial"]], "alternation", ALIGNING):
            words += " The control has no alternations: its curve is that of fine-tuning."
        styled(figure, xaxis_title="alternation", yaxis_title=self._axis)
        return Plot(plot.key, plot.title, figure, words)

    def _finetuning(self) -> Plot:
        import plotly.graph_objects as go

        plot = Plot(self._key("finetuning"), "The best few and the control: fine-tuning", None)
        figure, seeds = go.Figure(), set[int]()
        ours = [row for row in self._rows if row is not self._control][:_FINETUNED]
        for row in (*ours, *([] if self._control is None else [self._control])):
            runs = self._runs(self._configurations[row["trial"]])
            told = [_curve(self._reports[run["trial"]], "epoch", ("finetune",)) for run in runs]
            every = [dict(points) for points in told if points]
            epochs = sorted(set.intersection(*map(set, every))) if every else []
            if epochs:
                seeds.add(len(every))
                self._band(figure, row, epochs, every)
                self._line(figure, row, [(epoch, fmean(curve[epoch] for curve in every)) for epoch in epochs])
        if not figure.data:
            return plot.without("no run that confirms the best few has reported from its fine-tuning yet.")
        styled(figure, xaxis_title="epoch of fine-tuning", yaxis_title=self._axis)
        figure.update_yaxes(range=_range_of_means(figure))  # one run that began badly is not to flatten all others
        number = " to ".join(map(str, sorted({min(seeds), max(seeds)})))
        number_of_runs = f"{number} run{'s' * (max(seeds) > 1)}"
        words = f"Mean over {number_of_runs} of each; the band is from the lowest of them to the highest."
        return Plot(plot.key, plot.title, figure, words)

    def _fit(self) -> Plot:
        import plotly.graph_objects as go

        plot = Plot(self._key("alignment"), "The lower backbone before any fine-tuning", None, main=False)
        best = next((row for row in self._rows if row is not self._control), None)
        reports = [] if best is None else self._reports[best["trial"]]
        figure = go.Figure()
        for place, (name, column) in enumerate(_FITS):
            points = _curve(reports, "alternation", ALIGNING, column)
            before = None if best is None else finite(best[f"{column}_before"])
            if points:
                start = [] if before is None else [(0, before)]
                xs, ys = zip(*start, *points, strict=True)
                line = {"color": COLOURS[place]}
                figure.add_scatter(x=xs, y=[self._unit * y for y in ys], mode="lines+markers", name=name, line=line)
        if best is None or not figure.data:
            return plot.without("nothing of it was measured: alignment_every is 0, or no trial has an alternation yet.")
        styled(figure, xaxis_title="alternation (0: as pretrained)", yaxis_title=self._axis)
        return Plot(plot.key, plot.title, figure, f"Of {best['trial']}, on validation.", main=False)

    def _runs(self, configuration: Configuration) -> Sequence[Row]:
        """Those that confirm it, else those that tune it, else itself."""
        return configuration.seeds or configuration.tuning or (configuration.head,)

    def _line(self, figure: "Figure", row: Row, points: Sequence[tuple[int, float]]) -> None:
        figure.add_scatter(
            x=[x for x, _ in points],
            y=[self._unit * y for _, y in points],
            mode="lines+markers" if len(points) < 30 else "lines",
            marker={"size": 4},
            line={"color": self._colour(row), "width": 2, "dash": "dash" if row is self._control else "solid"},
            name=self._label(row),
            hovertemplate="%{fullData.name}, %{x}: %{y:.4~g}<extra></extra>",
        )

    def _band(self, figure: "Figure", row: Row, xs: Sequence[int], curves: Sequence[dict[int, float]]) -> None:
        low = [self._unit * min(curve[x] for curve in curves) for x in xs]
        high = [self._unit * max(curve[x] for curve in curves) for x in xs]
        figure.add_scatter(
            x=[*xs, *reversed(xs)],
            y=[*low, *reversed(high)],
            fill="toself",
            fillcolor=transparent(self._colour(row), 0.12),
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
            showlegend=False,
        )


def _curve(
    reports: Iterable[Row], progress: str, stages: Sequence[str], column: str = "objective"
) -> list[tuple[int, float]]:
    """A figure over progress; of several reports at one place the last counts."""
    ordered = sorted(
        (row for row in reports if row["stage"] in stages and row[progress] is not None),
        key=lambda row: (row[progress], row["finetune_step"] or 0),
    )
    return list({row[progress]: value for row in ordered if (value := finite(row[column])) is not None}.items())


def _range_of_means(figure: "Figure") -> tuple[float, float]:
    """From the lowest to the highest of the lines, and a little of the bands around them."""
    values = [float(value) for trace in figure.data if trace.fill is None for value in trace.y]
    margin = 0.15 * (max(values) - min(values)) or 1.0
    return min(values) - margin, max(values) + margin


def _half(row: Row) -> float:
    """Half the width of a row's interval; 0 where it has none."""
    high, mean = row["objective_high"], row["objective"]
    return 0.0 if high is None else float(high - mean)


def _spread(values: Iterable[float]) -> float:
    positive = [value for value in values if value > 0]
    return max(positive) / min(positive) if positive else 1.0
