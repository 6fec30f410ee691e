"""ASHA on `alternation`, for explore trials only (Li et al. 2020; docs/architecture.md, "Search")."""

import math
from bisect import insort
from collections.abc import Iterable
from functools import partial
from types import SimpleNamespace
from typing import Any, Final

from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from bissl_ray.config.protocol import Protocol
from bissl_ray.search.brackets import Brackets
from bissl_ray.search.records import Record
from bissl_ray.store.schema import Row

_MOST_REMEMBERED: Final = 100
"""Trials that Tune holds, from which on it forgets those that are over."""


class ExploreASHA(AsyncHyperBandScheduler):  # type: ignore[misc]
    """Stops explore trials that fall behind; tuning, confirmation and test runs go to their end.

    A trial that has reached its last alternation has nothing left to save by stopping, so it is not stopped.
    """

    def __init__(self, protocol: Protocol, alternations: int, history: Iterable[Record] = ()):
        """Set up, filling the rungs from what has run before.

        Args:
            protocol: grace and reduction factor.
            alternations: of the longest trial that there may be.
            history: explore records of a resumed sweep, in the order proposed.
        """
        super().__init__(
            time_attr="alternation",
            metric="objective",
            mode="max",
            max_t=max(alternations, 1),
            grace_period=min(protocol.grace, alternations),
            reduction_factor=protocol.reduction_factor,
            brackets=protocol.brackets,
        )
        for bracket in self._brackets:
            bracket._rungs = [(milestone, _Scores()) for milestone, _ in bracket._rungs]
            bracket.cutoff = partial(_cutoff, 1 - 1 / protocol.reduction_factor)
        self._dealt = Brackets(protocol, max(alternations, 1))
        self._stops = protocol.early_stopping and protocol.at_a_rung == "stop"
        for record in history:
            for alternation, objective in sorted(record.curve.items()):
                last = record.point.get("alternations", alternations)
                if isinstance(last, int) and alternation < last:
                    self._bracket(record.trial).on_result(
                        SimpleNamespace(trial_id=record.trial), alternation, objective
                    )

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Register an explore trial."""
        if _explores(trial):
            super().on_trial_add(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: Row) -> str:
        """Decide on an explore trial's report."""
        alternation = result.get("alternation")
        may_stop = _explores(trial) and self._stops and alternation is not None
        if not may_stop or alternation >= trial.config["alternations"]:
            return str(TrialScheduler.CONTINUE)
        # Rungs are keyed by our own trial name, which survives a resume; Tune's identifier does not.
        known = SimpleNamespace(trial_id=trial.config["trial"])
        for row in result.get("earlier", ()):  # that the sweep's history may lack
            if row.get("alternation") is not None:
                self._bracket(known.trial_id).on_result(known, row["alternation"], row["objective"])
        action = self._bracket(known.trial_id).on_result(known, alternation, result["objective"])
        self._num_stopped += action == TrialScheduler.STOP
        return str(action)

    def _bracket(self, trial: str) -> Any:
        return self._brackets[self._dealt.of(trial)]

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: Row) -> None:
        """Forget the trial; its last report has been counted."""
        self.on_trial_remove(tune_controller, trial)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """Forget the trial, also one that ended by an error."""
        self._trial_info.pop(trial.trial_id, None)

    on_trial_error = on_trial_remove


class _Scores(dict[str, float]):
    """What trials had at a rung, by name; all in order too: to sort ten thousand anew for each report takes a ms."""

    def __init__(self) -> None:
        super().__init__()
        self.ordered: list[float] = []

    def __setitem__(self, trial: str, score: float) -> None:
        super().__setitem__(trial, score)
        if not math.isnan(score):
            insort(self.ordered, score)


def _cutoff(share: float, scores: _Scores) -> float | None:
    """The score that so large a share of a rung's are below, as NumPy's percentile; None: there is none yet."""
    if not scores.ordered:
        return None
    below, between = divmod(share * (len(scores.ordered) - 1), 1)
    low = scores.ordered[int(below)]
    high = scores.ordered[min(int(below) + 1, len(scores.ordered) - 1)]
    return low + (high - low) * between if between < 0.5 else high - (high - low) * (1 - between)


def forget_ended(tune_controller: Any) -> None:
    """Let go of trials that are over.

    Tune keeps each, with statistics of every figure that it reported, and looks through all of them at every step and
    when it writes its own snapshot. Nothing of ours asks it for them; there is no public switch.
    """
    if len(tune_controller._trials) <= _MOST_REMEMBERED:
        return
    live = tune_controller._live_trials
    over = [trial for trial in tune_controller._trials if trial not in live and trial.is_finished()]
    tune_controller._trials[:] = [trial for trial in tune_controller._trials if trial not in set(over)]
    for held in ("_stopped_trials", "_failed_trials", "_trials_to_cache"):
        getattr(tune_controller, held).difference_update(over)
    for trial in over:
        tune_controller._trial_metadata.pop(trial.trial_id, None)


def _explores(trial: Trial) -> bool:
    return bool(trial.config.get("explore"))
