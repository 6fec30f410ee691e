"""Figures of how exploring went, by optuna.visualization: history, curves, score against cost; and rungs."""

from typing import TYPE_CHECKING, Final

from optuna.trial import TrialState

from bissl_ray.leaderboard.configurations import finite
from bissl_ray.leaderboard.numbers import duration
from bissl_ray.report.elements import Plot
from bissl_ray.report.facts import SweepFacts
from bissl_ray.report.looks import BEST, BISSL, CONTROL, axis, plain, styled
from bissl_ray.search.study import NAME, StoredStudy, against_seconds, as_told

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MOST_POINTS: Final = 1000
"""That are drawn in one figure."""
_MOST_CURVES: Final = 40


class Explored:
    """What is drawn of the explore trials of one sweep over time and cost."""

    def __init__(self, facts: SweepFacts) -> None:
        """Set up.

        Args:
            facts: of the sweep, whose search space is known.
        """
        assert facts.study is not None
        self._facts, self._study = facts, facts.study
        self._axis, self._names = axis(facts.metric), names_of(facts.study)

    def _key(self, name: str) -> str:
        return f"{self._facts.name}-{name}"

    def history(self) -> Plot:
        """Every score, and the best so far."""
        drawn = self._study.sampled(MOST_POINTS)
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
        return Plot(plot.key, plot.title, figure, told(drawn, self._study, "Scores before fine-tuning, on validation."))

    def curves(self) -> Plot:
        """Score after each alternation."""
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
        words = told(drawn, self._study.of(curved), "Blue: ran to its end. Grey: stopped early.", "curves")
        return Plot(plot.key, plot.title, figure, words, main=False, order=4)

    def rungs(self) -> Plot:
        """How many trials came how far."""
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

    def against_seconds(self) -> Plot:
        """Score against the seconds of a trial, with the front."""
        from optuna.visualization import plot_pareto_front

        plot = Plot(self._key("cost"), "Score against cost, explored", None)
        seconds = {row["trial"]: t for row in self._facts.explored if (t := finite(row["seconds"])) is not None}
        both = against_seconds(self._study, seconds)
        if len(both.get_trials(deepcopy=False)) < 2:
            return plot.without("fewer than two trials have run to their end with a score and a time.")
        front = both.best_trials
        sampled = both.sampled(MOST_POINTS)
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
        return Plot(plot.key, plot.title, figure, told(drawn, both, words))


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


def told(drawn: StoredStudy, of: StoredStudy, words: str, what: str = "points", level: str = "") -> str:
    """What a figure shows, and how much of it: a sample is said to be one.

    Args:
        drawn: the trials that are.
        of: all that might be.
        words: what it shows.
        what: each of them is on it.
        level: what their scores are of.
    """
    shown, every = (len(study.get_trials(deepcopy=False)) for study in (drawn, of))
    sample = f"{shown:,} of {every:,} {what} drawn: the best, and a sample of the others." if shown < every else ""
    return " ".join(filter(None, (words, sample, level)))


def names_of(study: StoredStudy) -> dict[int, str]:
    """The names of its trials by their numbers, as plotly shows them."""
    return {trial.number: plain(trial.user_attrs[NAME]) for trial in study.get_trials(deepcopy=False)}
