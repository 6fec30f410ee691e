"""When to end a trial because of what it is suffering from, and how to say so."""

from typing import TypedDict

from bissl_ray.bilevel import AlternationReport
from bissl_ray.bilevel.joint import JointReport
from bissl_ray.config.settings import Settings
from bissl_ray.training.evaluation.embeddings import EmbeddingStatistics

_AGAINST_COLLAPSE = {
    "byol": ("a {} nearer to 1", "target_momentum"),
    "vicreg": ("a larger {}", "vicreg_variance"),
    "barlow_twins": ("a larger {}", "barlow_redundancy"),
}
"""What a pretext task has of its own to hold its embeddings apart: how to change which setting."""


class DiagnosisState(TypedDict):
    """What an interrupted trial needs to go on: the first lower loss, and the unsolved alternations in a row."""

    first_loss: float | None
    unsolved: int


class TrialDiagnosedError(Exception):
    """The trial ends here: its message says why in words, with figures, and what to try. Alike on every worker."""


class Diagnosis:
    """Looks at each alternation of a trial. What is not a number at all never comes here: that raises DivergedError.

    The lower loss tells of divergence, rather than the distance of the backbones or a gradient norm: these two grow by
    orders of magnitude in trials that do well, as λ lets them.

    Args:
        settings: of the trial: the thresholds, and what is worth naming in advice.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._first_loss: float | None = None
        self._unsolved = 0

    def look(self, report: AlternationReport | JointReport, embeddings: EmbeddingStatistics) -> str | None:
        """Take in the next alternation.

        Args:
            report: the alternation.
            embeddings: of the pretext task on the batch that H was taken on.

        Returns:
            Why the trial should end, as a sentence; None where it is in good health. Equal on all workers, since
            everything that it is drawn from is.
        """
        if self._first_loss is None:
            self._first_loss = report.lower_loss
        # A residual of 1 is that of x = 0.
        unsolved = report.cg_residual is not None and report.cg_residual >= 1
        self._unsolved = self._unsolved + 1 if unsolved else 0
        return self._collapsed(embeddings) or self._diverged(report) or self._never_solved(report)

    def _collapsed(self, embeddings: EmbeddingStatistics) -> str | None:
        least_std, least_rank = self._settings.collapse_std, self._settings.collapse_rank
        advice = f"try a smaller lower_lr (now {self._settings.lower_lr:.3g}) or a larger proximity_weight"
        if self._settings.pretext in _AGAINST_COLLAPSE:
            change, name = _AGAINST_COLLAPSE[self._settings.pretext]
            advice += f", or {change.format(name)} (now {getattr(self._settings, name):g})"
        if least_std is not None and embeddings.std < least_std:
            return (
                f"the pretext embeddings have collapsed to one point: they deviate by {embeddings.std:.2g} of what an "
                f"even spread does (below collapse_std {least_std:g}); {advice}"
            )
        if least_rank is not None and embeddings.rank < least_rank:
            return (
                f"the pretext embeddings have collapsed to a line: their effective rank is {embeddings.rank:.3g} "
                f"(below collapse_rank {least_rank:g}); {advice}"
            )
        return None

    def _diverged(self, report: AlternationReport | JointReport) -> str | None:
        factor, first = self._settings.divergence_factor, self._first_loss
        # A loss that may be negative has no factor.
        if factor is None or first is None or first <= 0 or report.lower_loss <= factor * first:
            return None
        return (
            f"the lower level diverges: its loss is {report.lower_loss:.3g}, {report.lower_loss / first:.1f} times the "
            f"{first:.3g} of the first alternation (above divergence_factor {factor:g}); try a smaller lower_lr "
            f"(now {self._settings.lower_lr:.3g}) or a longer lower_warmup"
        )

    def _never_solved(self, report: AlternationReport | JointReport) -> str | None:
        most = self._settings.unsolved_alternations
        if most is None or self._unsolved < most:
            return None
        bends = report.negative_curvature
        met = f", {bends} direction{'s' if bends > 1 else ''} of negative curvature" if bends else ""
        others = [f"more damping (now {self._settings.damping:g})"]
        others += [] if self._settings.solver == "minres" else ["solver minres"]
        others += [] if self._settings.curvature == "gauss_newton" else ["curvature gauss_newton"]
        in_a_row = "1 alternation" if self._unsolved == 1 else f"{self._unsolved} alternations in a row"
        return (
            f"the linear solves don't converge: {in_a_row} left a mean relative residual of 1 or more (the last "
            f"{report.cg_residual:.3g}{met}), no better than no solution; "
            f"try {' or '.join(others)}"
        )

    def state_dict(self) -> DiagnosisState:
        """What an interrupted trial needs to go on."""
        return {"first_loss": self._first_loss, "unsolved": self._unsolved}

    def load_state_dict(self, state: DiagnosisState) -> None:
        """Go on from `state_dict`."""
        self._first_loss, self._unsolved = state["first_loss"], state["unsolved"]
