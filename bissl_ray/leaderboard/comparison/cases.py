"""What a comparison of BiSSL with plain fine-tuning consists of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bissl_ray.controls import CONTROLS, PLAIN
from bissl_ray.leaderboard.comparison.following import Following
from bissl_ray.leaderboard.comparison.significance import PairedTests
from bissl_ray.leaderboard.verdict_sentences import Outcome, Split
from bissl_ray.metrics import Metric, of_objective
from bissl_ray.statistics import Estimate

Pipeline = Literal["bissl", "control"]


def draw_suffix(draw: int | None) -> str:
    """How the label of a case ends that is of a further draw of the labels."""
    return "" if draw is None else f"-draw{draw}"


@dataclass(frozen=True)
class CaseFacts:
    """What a comparison knows of one of its sweeps beyond the rows of the store.

    Attributes:
        dataset: name of the dataset.
        checkpoint: label of the pretrained checkpoint.
        sweep: name of the sweep that ran BiSSL.
        metric: of the dataset, such as top1.
        finished: whether all of it has run.
        labelled: labelled images that one run of each pipeline trains on.
        unlabelled: images without labels likewise.
        gradients: gradient evaluations likewise, one image each.
        control: what BiSSL is compared with, a name of `controls.CONTROLS`.
        of_control: name of the sweep that ran it; None: the same.
        labels: labelled training images of each class; None: all, or as many as the dataset has.
        draw: which further draw of these; None: the split's own.
        read: lines that say what was read of the checkpoint and what matched.
        edges: lines on settings whose best value lies at the edge of what was searched.
    """

    dataset: str
    checkpoint: str
    sweep: str
    metric: str
    finished: bool
    labelled: Mapping[Pipeline, int] = field(default_factory=dict)
    unlabelled: Mapping[Pipeline, int] = field(default_factory=dict)
    gradients: Mapping[Pipeline, int] = field(default_factory=dict)
    control: str = PLAIN
    of_control: str | None = None
    labels: int | None = None
    draw: int | None = None
    read: Sequence[str] = ()
    edges: Sequence[str] = ()

    @property
    def of_every_draw(self) -> str:
        """The checkpoint's label as all draws of the labels have it."""
        return self.checkpoint.removesuffix(draw_suffix(self.draw))


@dataclass(frozen=True)
class Side:
    """One pipeline in one case: its best configuration over the seeds that both pipelines have.

    Attributes:
        trial: of the configuration; None before there is one.
        score: mean with its interval over seeds, a fraction.
        failed: seeds that it failed on; the score and the gain leave them out.
        seconds: of one confirmation run, the mean.
        total_seconds: of every run, those that searched and tuned included.
        runs: how many those are.
        labelled: labelled images that one run trains on.
        unlabelled: images without labels likewise.
        gradients: gradient evaluations of one run, one image each.
    """

    trial: str | None
    score: Estimate | None
    failed: int
    seconds: float | None
    total_seconds: float
    runs: int
    labelled: int | None
    unlabelled: int | None
    gradients: int | None


@dataclass(frozen=True)
class CaseResult:
    """One dataset from one checkpoint, against one control.

    Attributes:
        facts: which, and how far it is.
        split: that the scores are of: test once two seeds of both sides were looked at there, else validation.
        bissl: pretraining, BiSSL, fine-tuning.
        control: what it is compared with: plain fine-tuning, or another of `controls.CONTROLS`.
        gains: seed -> bissl - control.
        gain: their mean with its interval.
        tests: of the gains.
        outcome: by the interval of the gain.
        sentence: the outcome in words.
        failures: on how many seeds either side failed, in a sentence; None where none did.
        following: the gain by the fine-tuning that follows, against plain fine-tuning.
        frozen: the gain with none: what the aligned backbone is worth as it is, against the pretrained one.
    """

    facts: CaseFacts
    split: Split
    bissl: Side
    control: Side
    gains: Mapping[int, float]
    gain: Estimate | None
    tests: PairedTests
    outcome: Outcome
    sentence: str
    failures: str | None
    following: Sequence[Following] = ()
    frozen: Estimate | None = None

    @property
    def against(self) -> str:
        """What boards call the control."""
        return CONTROLS[self.facts.control].title

    @property
    def metric(self) -> Metric:
        """What the scores are."""
        return of_objective(self.facts.metric)

    @property
    def unit(self) -> str:
        """What the gain is in: points, or the metric's own unit, which none but its own gains share."""
        return "points" if self.metric.share else self.metric.name

    @property
    def without_result(self) -> bool:
        """Whether all of it has run, and there is no verdict to come any more."""
        return self.facts.finished and self.outcome == "unconfirmed"


@dataclass(frozen=True)
class Overall:
    """One checkpoint over several datasets.

    Attributes:
        checkpoint: its label.
        gain: mean of the datasets' gains with its interval over datasets.
        tests: of the datasets' gains.
    """

    checkpoint: str
    gain: Estimate
    tests: PairedTests


@dataclass(frozen=True)
class OverDraws:
    """One dataset from one checkpoint against one control, over several draws of the images with labels.

    An interval over seeds tells of training's chance alone; this one tells of which images had labels as well.

    Attributes:
        dataset: its name.
        checkpoint: its label, without the draw.
        control: a name of `controls.CONTROLS`.
        gain: mean of the draws' gains with its interval over draws.
        tests: of the draws' gains.
    """

    dataset: str
    checkpoint: str
    control: str
    gain: Estimate
    tests: PairedTests


@dataclass(frozen=True)
class Trend:
    """How the gain on one dataset changes from the first checkpoint to the last.

    Attributes:
        dataset: its name.
        first: label of the first checkpoint.
        last: label of the last one.
        change: gain at the last - gain at the first, paired over seeds.
    """

    dataset: str
    first: str
    last: str
    change: Estimate


@dataclass(frozen=True)
class ComparisonBoard:
    """What a comparison has found so far: cases against plain fine-tuning, each followed by those against others.

    Attributes:
        name: of the comparison.
        cases: its cases.
        overall: each checkpoint over the datasets.
        draws: each dataset, checkpoint and control over the draws of the labels.
        trends: over the checkpoints of each dataset.
        rows: how many stored rows that was read from.
        rows_sha256: their fingerprint (`stored.fingerprint`).
    """

    name: str
    cases: Sequence[CaseResult]
    overall: Sequence[Overall]
    draws: Sequence[OverDraws]
    trends: Sequence[Trend]
    rows: int
    rows_sha256: str

    @property
    def against_plain(self) -> list[CaseResult]:
        """The cases whose control is plain fine-tuning."""
        return [case for case in self.cases if case.facts.control == PLAIN]
