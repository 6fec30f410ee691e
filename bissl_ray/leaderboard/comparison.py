"""BiSSL against plain fine-tuning from the same checkpoints: what several sweeps say together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Literal

from bissl_ray.leaderboard.configurations import Configuration, Row, best_bissl, best_control, finite, gather
from bissl_ray.leaderboard.paired_tests import PairedTests, paired_tests
from bissl_ray.leaderboard.statistics import Estimate, estimate, paired_gain
from bissl_ray.leaderboard.verdict import Outcome, Split, Verdict, judge

Pipeline = Literal["bissl", "finetuning"]


@dataclass(frozen=True)
class CaseFacts:
    """What a comparison knows of one of its sweeps beyond the rows of the store.

    Attributes:
        dataset: name of the dataset.
        checkpoint: label of the pretrained checkpoint.
        sweep: name of the sweep.
        metric: of the dataset, such as top1.
        metric_title: what tables call it, such as top-1.
        finished: whether all of it has run.
        labelled: labelled images that one run of each pipeline trains on.
        unlabelled: images without labels likewise.
    """

    dataset: str
    checkpoint: str
    sweep: str
    metric: str
    metric_title: str
    finished: bool
    labelled: Mapping[Pipeline, int] = field(default_factory=dict)
    unlabelled: Mapping[Pipeline, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Side:
    """One pipeline in one case: its best configuration over the seeds that both pipelines have.

    Attributes:
        trial: of the configuration; None before there is one.
        score: mean with its interval over seeds, a fraction.
        seconds: of one confirmation run, the mean.
        total_seconds: of every run, those that searched and tuned included.
        runs: how many those are.
        labelled: labelled images that one run trains on.
        unlabelled: images without labels likewise.
    """

    trial: str | None
    score: Estimate | None
    seconds: float | None
    total_seconds: float
    runs: int
    labelled: int | None
    unlabelled: int | None


@dataclass(frozen=True)
class Compared:
    """One dataset from one checkpoint.

    Attributes:
        facts: which, and how far it is.
        split: that the scores are of: test once two seeds of both sides were looked at there, else validation.
        bissl: pretraining, BiSSL, fine-tuning.
        finetuning: pretraining, fine-tuning.
        gains: seed -> bissl - finetuning.
        gain: their mean with its interval.
        tests: of the gains.
        outcome: by the interval of the gain.
        sentence: the outcome in words.
    """

    facts: CaseFacts
    split: Split
    bissl: Side
    finetuning: Side
    gains: Mapping[int, float]
    gain: Estimate | None
    tests: PairedTests
    outcome: Outcome
    sentence: str


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
    """What a comparison has found so far."""

    name: str
    cases: Sequence[Compared]
    overall: Sequence[Overall]
    trends: Sequence[Trend]


def compare_cases(name: str, facts: Sequence[CaseFacts], trials: Iterable[Row]) -> ComparisonBoard:
    """Compare both pipelines in every case.

    Args:
        name: of the comparison.
        facts: its cases; those of a dataset in the order of their checkpoints.
        trials: rows of their sweeps, as `to_rows(read_trials(...))` gives them.
    """
    configurations = gather(trials)
    several = len({case.checkpoint for case in facts}) > 1
    cases = [_compare(case, configurations, several) for case in facts]
    labels = list(dict.fromkeys(case.checkpoint for case in facts))
    datasets = list(dict.fromkeys(case.dataset for case in facts))
    return ComparisonBoard(
        name,
        cases,
        [row for label in labels if (row := _overall(label, cases)) is not None],
        [trend for dataset in datasets if (trend := _trend(dataset, cases)) is not None],
    )


def _compare(case: CaseFacts, configurations: list[Configuration], several: bool) -> Compared:
    sweep = (case.dataset, case.sweep)
    ours, theirs = best_bissl(configurations, sweep), best_control(configurations, sweep)
    verdict = judge(configurations, sweep, f"{case.dataset} from {case.checkpoint}" if several else None)
    split: Split = "test" if verdict.decided_on == "test" else "validation"
    scores = [{} if c is None else c.test_scores if split == "test" else c.scores for c in (ours, theirs)]
    shared = sorted(scores[0].keys() & scores[1].keys())
    gains = {seed: scores[0][seed] - scores[1][seed] for seed in shared}
    of_sweep = [c for c in configurations if c.sweep == sweep]
    return Compared(
        facts=case,
        split=split,
        bissl=_side(case, "bissl", ours, [scores[0][seed] for seed in shared], of_sweep),
        finetuning=_side(case, "finetuning", theirs, [scores[1][seed] for seed in shared], of_sweep),
        gains=gains,
        gain=estimate(list(gains.values())),
        tests=paired_tests(list(gains.values())),
        outcome=verdict.outcome,
        sentence=_sentence(case, verdict, of_sweep),
    )


def _side(
    case: CaseFacts,
    pipeline: Pipeline,
    chosen: Configuration | None,
    scores: Sequence[float],
    of_sweep: Sequence[Configuration],
) -> Side:
    kind = "bissl" if pipeline == "bissl" else "control"
    runs = [run for c in of_sweep if c.kind == kind for run in c.runs]
    confirmed = [] if chosen is None else [run["seconds"] for run in chosen.seeds if finite(run["seconds"])]
    return Side(
        trial=None if chosen is None else chosen.head["trial"],
        score=estimate(scores),
        seconds=fmean(confirmed) if confirmed else None,
        total_seconds=sum(finite(run["seconds"]) or 0.0 for run in runs),
        runs=len(runs),
        labelled=case.labelled.get(pipeline),
        unlabelled=case.unlabelled.get(pipeline),
    )


def _sentence(case: CaseFacts, verdict: Verdict, of_sweep: Sequence[Configuration]) -> str:
    if not of_sweep:
        return f"No run so far on {case.dataset} from {case.checkpoint}."
    return verdict.sentence if case.finished else f"{verdict.sentence} Runs are still to come."


def _overall(label: str, cases: Sequence[Compared]) -> Overall | None:
    means = [case.gain.mean for case in cases if case.facts.checkpoint == label and case.gain is not None]
    gain = estimate(means)
    return None if gain is None or gain.n < 2 else Overall(label, gain, paired_tests(means))


def _trend(dataset: str, cases: Sequence[Compared]) -> Trend | None:
    own = [case for case in cases if case.facts.dataset == dataset and case.gain is not None]
    change = paired_gain(own[-1].gains, own[0].gains) if len(own) > 1 and own[0].split == own[-1].split else None
    return None if change is None else Trend(dataset, own[0].facts.checkpoint, own[-1].facts.checkpoint, change)
