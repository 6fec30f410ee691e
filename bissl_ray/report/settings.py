"""Figures of the settings that were searched, by optuna.visualization: what mattered, and score by settings.

With early stopping most trials end at a rung: they are compared by what each had at the first.
"""

from dataclasses import replace
from itertools import combinations
from typing import Final

from optuna.trial import TrialState

from bissl_ray.report.elements import Plot
from bissl_ray.report.exploring import MOST_POINTS, names_of, told
from bissl_ray.report.facts import SweepFacts
from bissl_ray.report.importances import FEWEST, RESAMPLES, SHUFFLES, good_share, importances, judge, looked_at
from bissl_ray.report.looks import BEST, BISSL, CONTROL, SCALE, axis, colour_at, plain, styled
from bissl_ray.search.study import StoredStudy, at_alternation

_MOST_LINES: Final = 150
_MOST_IN_CONTOURS: Final = 80
_MOST_SLICES: Final = 9
_PAIRS_OF: Final = 3
_FEWEST_FOR_CONTOURS: Final = 6
_LONG_NAME: Final = 9


class Settings:
    """What is drawn of the settings that one sweep searched."""

    def __init__(self, facts: SweepFacts) -> None:
        """Set up.

        Args:
            facts: of the sweep, whose search space is known.
        """
        assert facts.study is not None and facts.document is not None
        self._facts, self._axis, self._names = facts, axis(facts.metric), names_of(facts.study)
        self._compared, self._level = _comparable(facts, facts.study)
        self._complete = self._compared.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        self._varied = [
            name
            for name in facts.document.request.space.parameters
            if len({repr(trial.params[name]) for trial in self._complete if name in trial.params}) > 1
        ]
        enough = len(self._complete) >= FEWEST and len(self._varied) > 1
        self._importances = importances(self._compared) if enough else []

    def _key(self, name: str) -> str:
        return f"{self._facts.name}-{name}"

    def parallel(self) -> Plot:
        """A line for each trial through all its settings."""
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
        words = told(drawn, self._compared, words, "lines", self._level)
        return Plot(plot.key, plot.title, figure, words, 420, "whole", least, order=3)

    def importance(self) -> Plot:
        """How much each setting mattered."""
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
            f"Beyond chance: {', '.join(real) or 'none'}. {self._level}"
        )
        return Plot(plot.key, plot.title, figure, words.strip(), max(240, 90 + 34 * len(found)))

    def slices(self) -> list[Plot]:
        """Score by each setting."""
        from optuna.visualization import plot_slice

        if (why := self._too_few(2)) is not None:
            return [Plot(self._key("slices"), "Score by each setting", None, why)]
        drawn = self._compared.sampled(MOST_POINTS)
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
        words = told(
            drawn, self._compared, "A point is a trial; orange: proposed late, grey: early.", "points", self._level
        )
        plots[0] = replace(plots[0], words=words)
        return plots

    def contours(self) -> list[Plot]:
        """Score by two settings, those that mattered most."""
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
        words = told(
            drawn, self._compared, "Between the trials (dots) the surface is interpolated.", "trials", self._level
        )
        plots[0] = replace(plots[0], words=words)
        return plots

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
    if len(name) <= _LONG_NAME:
        return name
    head, found, tail = name.rpartition("_")
    return f"{head}<br>{tail}" if found and not head.endswith("<br>") else name


def _are(count: int) -> str:
    return f"is {count or 'none'}" if count < 2 else f"are {count}"
