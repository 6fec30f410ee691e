"""Figures of what a sweep explored, by optuna.visualization: history, curves, slices, contours and others."""

from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Final

from optuna.trial import TrialState

from bissl_ray.leaderboard.configurations import finite
from bissl_ray.leaderboard.numbers import duration
from bissl_ray.report.elements import Plot
from bissl_ray.report.facts import SweepFacts
from bissl_ray.report.importances import FEWEST, RESAMPLES, SHUFFLES, good_share, importances, judge, looked_at
from bissl_ray.report.looks import BEST, BISSL, CONTROL, SCALE, axis, colour_at, plain, styled
from bissl_ray.search.study import NAME, StoredStudy, against_seconds, as_told, at_alternation

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_MOST_POINTS: Final = 1000
_MOST_LINES: Final = 150
_MOST_CURVES: Final = 40
_MOST_IN_CONTOURS: Final = 80
_MOST_SLICES: Final = 9
_PAIRS_OF: Final = 3
_FEWEST_FOR_CONTOURS: Final = 6
_WIDEST_NAME: Final = 18


class Explored:
    """What is drawn of the explore trials of one sweep."""

    def __init__(self, facts: SweepFacts) -> None:
        """Set up.

        Args:
            facts: of the sweep, whose search space is known.
        """
        assert facts.study is not None
        self._facts, self._study = facts, facts.study
        self._axis = axis(facts.metric)
        self._compared, self._of = _comparable(facts, facts.study)
        self._complete = self._compared.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        self._names = {trial.number: plain(trial.user_attrs[NAME]) for trial in self._study.get_trials(deepcopy=False)}
        self._varied = [
            name
            for name in (facts.document.request.space.parameters if facts.document else {})
            if len({repr(trial.params[name]) for trial in self._complete if name in trial.params}) > 1
        ]
        enough = len(self._complete) >= FEWEST and len(self._varied) > 1
        self._importances = importances(self._compared) if enough else []

    @property
    def plots(self) -> list[Plot]:
        """All of them, in the order of the page."""
        return [
            self._history(),
            self._curves(),
            self._parallel(),
            self._importance(),
            self._against_seconds(),
            self._rungs(),
            *self._slices(),
            *self._contours(),
        ]

    def _key(self, name: str) -> str:
        return f"{self._facts.name}-{name}"

    def _history(self) -> Plot:
        drawn = self._study.sampled(_MOST_POINTS)
        whole = drawn.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        stopped = drawn.get_trials(deepcopy=False, states=(TrialState.PRUNED,))
        plot = Plot(self._key("history"), "Score over trials", None, width="half")
        if not whole:
            return plot.without("no explore trial has run to its end with a score yet.")
        figure = history(drawn)
        names = [self._names[number] for number in figure.data[0].x]
        figure.data[0].update(name="ran to its end", text=names, hovertemplate="%{text}: %{y:.4~g}<extra></extra>")
        figure.data[0].marker.update(color=BISSL, size=6)
        figure.data[1].update(name="best so far", line={"color": BEST, "shape": "hv"}, hoverinfo="skip")
        if shown := [trial for trial in stopped if trial.values]:
            figure.add_scatter(
                x=[trial.number for trial in shown],
                y=[trial.values[0] for trial in shown],
                text=[self._names[trial.number] for trial in shown],
                mode="markers",
                marker={"symbol": "x-thin", "size": 6, "line": {"width": 1.5, "color": CONTROL}},
                name="stopped early, its last score",
                hovertemplate="%{text}: %{y:.4~g}<extra></extra>",
            )
        styled(figure, xaxis_title="trial, in the order proposed", yaxis_title=self._axis)
        return Plot(plot.key, plot.title, figure, self._told(drawn, "Scores before fine-tuning, on validation."))

    def _curves(self) -> Plot:
        from optuna.visualization import plot_intermediate_values

        plot = Plot(self._key("curves"), "Score after each alternation", None, main=False, order=4)
        curved = [trial for trial in self._study.get_trials(deepcopy=False) if trial.intermediate_values]
        if not curved:
            return plot.without("no trial has reported a score after an alternation yet.")
        drawn = self._study.of(curved).sampled(_MOST_CURVES, best=_MOST_CURVES // 4)
        figure = plot_intermediate_values(drawn)
        shown = {f"Trial{trial.number}": trial for trial in drawn.get_trials(deepcopy=False)}
        for trace in figure.data:
            trial = shown[trace.name]
            whole = trial.state == TrialState.COMPLETE
            trace.update(name=self._names[trial.number], mode="lines", showlegend=False, opacity=0.75 if whole else 0.5)
            trace.line.update(color=BISSL if whole else CONTROL, width=1.2)
            trace.hovertemplate = "%{fullData.name}, alternation %{x}: %{y:.4~g}<extra></extra>"
        styled(figure, xaxis_title="alternation", yaxis_title=self._axis, showlegend=False)
        words = self._told(drawn, "Blue: ran to its end. Grey: stopped early.", "curves", self._study.of(curved))
        return Plot(plot.key, plot.title, figure, words, main=False, order=4)

    def _parallel(self) -> Plot:
        from optuna.visualization import plot_parallel_coordinate

        plot = Plot(self._key("parallel"), "Parallel coordinates", None, width="whole", order=3)
        if (why := self._too_few(2)) is not None:
            return plot.without(why)
        drawn = self._compared.sampled(_MOST_LINES)
        figure = plot_parallel_coordinate(drawn, params=self._by_importance(), target_name=self._axis)
        best_is_high = self._facts.metric.larger_is_better
        *lines, scale = figure.data
        for line in lines:  # the first axis is that of scores, from 0 to 1
            line.line.color = colour_at(line.y[0] if best_is_high else 1 - line.y[0])
        scale.marker.update(colorscale=SCALE, reversescale=not best_is_high)
        scale.marker.colorbar.update(title={"text": ""}, thickness=10)
        figure.layout.xaxis.ticktext = [_short(name) for name in figure.layout.xaxis.ticktext]
        styled(figure, margin={"l": 20, "r": 20, "t": 20, "b": 50})
        words = "A line is a trial, in the colour of its score."
        least = 110 * (len(self._varied) + 1)
        words = self._told(drawn, words, "lines", self._compared)
        return Plot(plot.key, plot.title, figure, words, 420, "whole", least, order=3)

    def _importance(self) -> Plot:
        from optuna.visualization import plot_param_importances

        plot = Plot(self._key("importances"), "What mattered", None)
        if not self._importances:
            few = f"importances take {FEWEST} trials with a score and two settings that vary; "
            return plot.without(f"{few}there are {len(self._complete)} and {len(self._varied)}.")
        looked = looked_at(self._compared)
        trials = len(looked.get_trials(deepcopy=False))
        figure = plot_param_importances(looked, evaluator=judge(trials), target_name=self._axis)
        known = {each.name: each for each in self._importances}
        found = [known[name] for name in figure.data[0].y]
        figure.data[0].update(
            error_x={
                "array": [max(each.high - each.share, 0) for each in found],
                "arrayminus": [max(each.share - each.low, 0) for each in found],
                "color": CONTROL,
                "thickness": 1.5,
            },
            text=None,
            texttemplate=None,
            marker={"color": BISSL, "opacity": 0.75},
            name="importance",
            hovertemplate="%{y}: %{x:.2f}<extra></extra>",
        )
        figure.add_scatter(
            x=[each.by_chance for each in found],
            y=[each.name for each in found],
            mode="markers",
            marker={"symbol": "line-ns", "size": 16, "line": {"width": 2.5, "color": BEST}},
            name="chance",
            hovertemplate="%{y}, shuffled: %{x:.2f}<extra></extra>",
        )
        styled(figure, xaxis_title="importance, in all 1", yaxis_title=None, showlegend=True)
        figure.update_xaxes(range=[0, 1])
        best = round(good_share(trials) * trials)
        real = [each.name for each in self._importances if each.share > each.by_chance]
        words = (
            f"PED-ANOVA: how much a setting tells the best {best} of {trials} trials from all. Whiskers: 90% of "
            f"{RESAMPLES} bootstrap resamples of the trials: how far other trials of the same search might have led; "
            f"the noise of each score is not in them. Mark: 95% of {SHUFFLES} shuffles of the scores stay below it. "
            f"Beyond chance: {', '.join(real) or 'none'}. {self._of}"
        )
        return Plot(plot.key, plot.title, figure, words.strip(), max(240, 90 + 34 * len(found)))

    def _slices(self) -> list[Plot]:
        from optuna.visualization import plot_slice

        if (why := self._too_few(2)) is not None:
            return [Plot(self._key("slices"), "Score by each setting", None, why)]
        drawn = self._compared.sampled(_MOST_POINTS)
        plots = []
        for name in self._by_importance()[:_MOST_SLICES]:
            figure = plot_slice(drawn, params=[name], target_name=self._axis)
            marker = figure.data[0].marker
            numbers = list(marker.color)
            marker.update(colorscale=SCALE, showscale=False, size=6, line={"width": 0})
            figure.data[0].update(
                text=[self._names[number] for number in numbers],
                hovertemplate="%{text}: %{x}, %{y:.4~g}<extra></extra>",
                showlegend=False,
            )
            styled(figure, yaxis_title=self._axis, xaxis_title=name, margin={"l": 56, "r": 10, "t": 8, "b": 44})
            plots.append(Plot(self._key(f"slice-{name}"), name, figure, "", 240, "third", main=False, order=2))
        words = self._told(drawn, "A point is a trial; orange: proposed late, grey: early.", "points", self._compared)
        plots[0] = replace(plots[0], words=words)
        return plots

    def _contours(self) -> list[Plot]:
        from optuna.visualization import plot_contour

        if (why := self._too_few(_FEWEST_FOR_CONTOURS)) is not None or len(self._varied) < 2:
            why = why or "a contour takes two settings that vary."
            return [Plot(self._key("contours"), "Score by two settings", None, why)]
        drawn = self._compared.sampled(_MOST_IN_CONTOURS, best=_MOST_IN_CONTOURS // 4)
        plots = []
        for one, other in combinations(self._by_importance()[:_PAIRS_OF], 2):
            figure = plot_contour(drawn, params=[one, other], target_name=self._axis)
            for trace in figure.data:
                if trace.type == "contour":
                    trace.update(colorscale=SCALE, reversescale=not self._facts.metric.larger_is_better, opacity=0.8)
                    trace.colorbar.update(thickness=10, title={"text": ""})
                    trace.line.update(width=0.5)
                else:
                    trace.marker.update(size=4, color="#222222", line={"width": 0.7, "color": "#ffffff"})
            across, up = figure.layout.xaxis.title.text, figure.layout.yaxis.title.text  # Optuna chooses which is which
            styled(figure, showlegend=False)
            for axes in (figure.update_xaxes, figure.update_yaxes):
                axes(showgrid=False)
            title = f"{plain(across)} and {plain(up)}"
            plots.append(
                Plot(self._key(f"contour-{one}-{other}"), title, figure, "", 320, "third", main=False, order=5)
            )
        words = self._told(drawn, "Between the trials (dots) the surface is interpolated.", "trials", self._compared)
        plots[0] = replace(plots[0], words=words)
        return plots

    def _rungs(self) -> Plot:
        import plotly.graph_objects as go

        plot = Plot(self._key("rungs"), "How many trials reached each rung", None, main=False)
        protocol = self._facts.protocol
        if protocol is None or not protocol.early_stopping:
            return plot.without("this sweep stops no trial early, so it has no rungs.")
        longest = max((int(row.get("param_alternations") or 0) for row in self._facts.explored), default=0)
        reached = [record.at for record in self._facts.records]
        levels = [*protocol.rungs(longest), longest]
        if not longest or not any(reached):
            return plot.without("no trial has come to an alternation yet.")
        counts = [len(reached), *(sum(at >= level for at in reached) for level in levels)]
        names = ["begun", *(f"alternation {level}" for level in levels[:-1]), f"{longest}, the end"]
        figure = go.Figure(
            go.Bar(x=names, y=counts, text=[f"{n:,}" for n in counts], textposition="outside", cliponaxis=False)
        )
        figure.data[0].update(marker={"color": BISSL, "opacity": 0.75}, hovertemplate="%{x}: %{y}<extra></extra>")
        styled(figure, yaxis_title="trials")
        how = {"stop": "stops trials that are behind", "pause": "pauses trials", "exploit": "replaces the worst trials"}
        return Plot(plot.key, plot.title, figure, f"At a rung the sweep {how[protocol.at_a_rung]}.", main=False)

    def _against_seconds(self) -> Plot:
        from optuna.visualization import plot_pareto_front

        plot = Plot(self._key("cost"), "Score against cost, explored", None)
        seconds = {row["trial"]: t for row in self._facts.explored if (t := finite(row["seconds"])) is not None}
        both = against_seconds(self._study, seconds)
        if len(both.get_trials(deepcopy=False)) < 2:
            return plot.without("fewer than two trials have run to their end with a score and a time.")
        front = both.best_trials
        sampled = both.sampled(_MOST_POINTS)
        kept = {trial.number: trial for trial in (*front, *sampled.get_trials(deepcopy=False))}
        drawn = both.of([kept[number] for number in sorted(kept)])
        figure = plot_pareto_front(
            drawn, targets=lambda trial: (trial.values[1], trial.values[0]), target_names=["seconds", self._axis]
        )
        others, best = figure.data
        for trace in (others, best):
            names = [self._names[number] for number in trace.marker.color]
            trace.update(text=names, hovertemplate="%{text}: %{y:.4~g} in %{x:.4~g} s<extra></extra>")
        others.update(
            name="explored", showlegend=True, marker={"color": CONTROL, "size": 6, "opacity": 0.7, "showscale": False}
        )
        best.update(
            name="on the front",
            showlegend=True,
            marker={"color": BEST, "size": 8, "symbol": "diamond", "showscale": False},
        )
        in_order = sorted(front, key=lambda trial: trial.values[1])
        figure.add_scatter(
            x=[trial.values[1] for trial in in_order],
            y=[trial.values[0] for trial in in_order],
            line={"color": BEST, "width": 1, "shape": "hv"},
            mode="lines",
            showlegend=False,
            hoverinfo="skip",
        )
        styled(figure, xaxis_title="seconds of the trial", yaxis_title=self._axis)
        cheapest, best_score = in_order[0], max(front, key=lambda trial: trial.values[1])
        ends = [f"{trial.user_attrs[NAME]} ({duration(trial.values[1])})" for trial in (cheapest, best_score)]
        span = f"from {ends[0]} to {ends[1]}" if len(front) > 1 else f"{ends[0]} alone"
        words = (
            f"On the front, {span}: no other explored trial has as good a score in as little time. Scores before "
            "fine-tuning."
        )
        return Plot(plot.key, plot.title, figure, self._told(drawn, words, "points", both))

    def _by_importance(self) -> list[str]:
        """Settings that vary, those that mattered most first."""
        order = [each.name for each in self._importances]
        return sorted(self._varied, key=lambda name: order.index(name) if name in order else len(order))

    def _too_few(self, least: int) -> str | None:
        if not self._varied:
            return "nothing that was searched varies among the trials with a score."
        if len(self._complete) < least:
            return f"it takes {least} trials with a score; there {_are(len(self._complete))} so far."
        return None

    def _told(self, drawn: StoredStudy, words: str, what: str = "points", all_of: StoredStudy | None = None) -> str:
        """What a figure shows, and how much of it: a sample is said to be one."""
        shown, every = (len(study.get_trials(deepcopy=False)) for study in (drawn, all_of or self._study))
        sample = f"{shown:,} of {every:,} {what} drawn: the best, and a sample of the others." if shown < every else ""
        level = self._of if all_of is self._compared else ""
        return " ".join(filter(None, (words, sample, level)))


def history(study: StoredStudy) -> "Figure":
    """The scores of a study over its trials, and the best so far, as Optuna draws them."""
    from optuna.visualization import plot_optimization_history

    trials = study.get_trials(deepcopy=False)
    # It takes a trial's number for its place in the list, which of a part it is not.
    placed = [as_told(trial, place, trial.values or ()) for place, trial in enumerate(trials)]
    figure = plot_optimization_history(study.of(placed))
    figure.data = figure.data[:2]  # the third is of trials that break a constraint, which there are none of
    for trace in figure.data:
        trace.x = [trials[place].number for place in trace.x]
    return figure


def _comparable(facts: SweepFacts, study: StoredStudy) -> tuple[StoredStudy, str]:
    """The trials whose scores compare, and what they are of: with early stopping, those of the first rung."""
    protocol = facts.protocol
    ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    if protocol is None or all(trial.state == TrialState.COMPLETE for trial in ended):
        return study.of([trial for trial in ended if trial.state == TrialState.COMPLETE]), ""
    first = min((max(trial.intermediate_values) for trial in ended if trial.intermediate_values), default=0)
    level = min(first, protocol.grace)
    found = at_alternation(study, level)
    told, every = (len(each.get_trials(deepcopy=False)) for each in (found, study))
    words = (
        f"Scores after alternation {level}, which {told:,} of {every:,} trials have: so "
        "those that were stopped early are held against those that went on."
    )
    return found, words


def _short(name: str) -> str:
    """A name that fits above an axis: long ones are folded at an underscore."""
    if len(name) <= _WIDEST_NAME // 2:
        return name
    head, found, tail = name.rpartition("_")
    return f"{head}<br>{tail}" if found and not head.endswith("<br>") else name


def _are(count: int) -> str:
    return f"is {count or 'none'}" if count < 2 else f"are {count}"
