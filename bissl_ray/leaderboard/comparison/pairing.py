"""BiSSL against its controls from the same checkpoints: what several sweeps say together."""

from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean

from bissl_ray.controls import CONTROLS, PLAIN
from bissl_ray.leaderboard.comparison.cases import (
    CaseFacts,
    CaseResult,
    ComparisonBoard,
    Overall,
    OverDraws,
    Pipeline,
    Side,
    Trend,
)
from bissl_ray.leaderboard.comparison.following import gain_frozen, gains_by_following
from bissl_ray.leaderboard.comparison.significance import paired_tests
from bissl_ray.leaderboard.comparison.stored import fingerprint
from bissl_ray.leaderboard.configurations import Configuration, best_bissl, best_control, finite, gather
from bissl_ray.leaderboard.verdict import judge
from bissl_ray.leaderboard.verdict_sentences import Split, without_result
from bissl_ray.statistics import estimate, paired_gain
from bissl_ray.store.schema import Row
from bissl_ray.words import Kind


def compare_cases(name: str, facts: Sequence[CaseFacts], trials: Iterable[Row]) -> ComparisonBoard:
    """Compare both pipelines in every case.

    Args:
        name: of the comparison.
        facts: its cases; those of a dataset in the order of their checkpoints.
        trials: rows of their sweeps, as `to_rows(read_trials(...))` gives them.
    """
    trials = list(trials)
    configurations = gather(trials)
    several = len({case.checkpoint for case in facts}) > 1
    cases = [_compare(case, configurations, several) for case in facts]
    plain = [case for case in cases if case.facts.control == PLAIN]
    labels = list(dict.fromkeys(case.checkpoint for case in facts))
    datasets = list(dict.fromkeys(case.dataset for case in facts))
    return ComparisonBoard(
        name,
        cases,
        [row for label in labels if (row := _overall(label, plain)) is not None],
        list(_over_draws(cases)),
        [trend for name in datasets for trend in _trends([case for case in plain if case.facts.dataset == name])],
        len(trials),
        fingerprint(trials),
    )


def _compare(case: CaseFacts, configurations: list[Configuration], several: bool) -> CaseResult:
    sweep, of_control = (case.dataset, case.sweep), (case.dataset, case.of_control or case.sweep)
    ours, theirs = best_bissl(configurations, sweep), best_control(configurations, of_control)
    where = f"{case.dataset} from {case.checkpoint}" if several else case.dataset
    against = None if case.control == PLAIN else CONTROLS[case.control].title
    verdict = judge(configurations, sweep, where, of_control, against)
    split: Split = "test" if verdict.decided_on == "test" else "validation"
    scores = [{} if c is None else c.test_scores if split == "test" else c.scores for c in (ours, theirs)]
    shared = sorted(scores[0].keys() & scores[1].keys())
    gains = {seed: scores[0][seed] - scores[1][seed] for seed in shared}
    of_sweep = [c for c in configurations if c.sweep in (sweep, of_control)]
    if not of_sweep:
        sentence = f"No run so far on {case.dataset} from {case.checkpoint}."
    elif against is not None and not any(c.sweep == of_control for c in of_sweep):
        sentence = f"No run of {against} so far on {case.dataset} from {case.checkpoint}."
    elif not case.finished:
        sentence = f"{verdict.sentence} Runs are still to come."
    else:
        sentence = without_result(where, of_sweep, against) if verdict.outcome == "unconfirmed" else verdict.sentence
    return CaseResult(
        facts=case,
        split=split,
        bissl=_side(case, "bissl", ours, [scores[0][seed] for seed in shared], split, of_sweep),
        control=_side(case, "control", theirs, [scores[1][seed] for seed in shared], split, of_sweep),
        gains=gains,
        gain=estimate(list(gains.values())),
        tests=paired_tests(list(gains.values())),
        outcome=verdict.outcome,
        sentence=sentence,
        failures=verdict.failures,
        following=gains_by_following(run for c in of_sweep for run in c.runs) if case.control == PLAIN else [],
        frozen=gain_frozen(ours) if case.control == PLAIN else None,
    )


def _side(
    case: CaseFacts,
    pipeline: Pipeline,
    chosen: Configuration | None,
    scores: Sequence[float],
    split: Split,
    of_sweep: Sequence[Configuration],
) -> Side:
    kind = Kind.BISSL if pipeline == "bissl" else Kind.CONTROL
    name = case.sweep if pipeline == "bissl" else case.of_control or case.sweep
    own = [c for c in of_sweep if c.kind == kind and c.sweep[1] == name]
    runs = [run for c in own for run in c.runs]
    # Where every seed failed, there is no best configuration.
    judged = own if chosen is None else [chosen]
    confirmed = [] if chosen is None else [run["seconds"] for run in chosen.seeds if finite(run["seconds"])]
    return Side(
        trial=None if chosen is None else chosen.head["trial"],
        score=estimate(scores),
        failed=sum(c.failed_seeds(split == "test") for c in judged),
        seconds=fmean(confirmed) if confirmed else None,
        total_seconds=sum(finite(run["seconds"]) or 0.0 for run in runs),
        runs=len(runs),
        labelled=case.labelled.get(pipeline),
        unlabelled=case.unlabelled.get(pipeline),
        gradients=case.gradients.get(pipeline),
    )


def _overall(label: str, cases: Sequence[CaseResult]) -> Overall | None:
    means = _means([case for case in cases if case.facts.checkpoint == label])
    gain = estimate(means)
    return None if gain is None or gain.n < 2 else Overall(label, gain, paired_tests(means))


def _over_draws(cases: Sequence[CaseResult]) -> Iterator[OverDraws]:
    alike: dict[tuple[str, str, str], list[CaseResult]] = {}
    for case in cases:
        alike.setdefault((case.facts.dataset, case.facts.of_every_draw, case.facts.control), []).append(case)
    for of_one, own in alike.items():
        means = _means(own)
        gain = estimate(means)
        if gain is not None and gain.n > 1:
            yield OverDraws(*of_one, gain, paired_tests(means))


def _means(cases: Sequence[CaseResult]) -> list[float]:
    """The mean gain of each case that has one; none where they are of unlike splits or units, which have no mean."""
    own = [case for case in cases if case.gain is not None]
    if len({case.split for case in own}) > 1 or len({case.unit for case in own}) > 1:
        return []
    return [case.gain.mean for case in own if case.gain is not None]


def _trends(cases: Sequence[CaseResult]) -> Iterator[Trend]:
    """Over the checkpoints of a dataset, for each number and draw of labels that it has several of."""
    for labels in dict.fromkeys((case.facts.labels, case.facts.draw) for case in cases):
        own = [case for case in cases if (case.facts.labels, case.facts.draw) == labels and case.gain is not None]
        if len(own) > 1 and own[0].split == own[-1].split:
            change = paired_gain(own[-1].gains, own[0].gains)
            if change is not None:
                first, last = own[0].facts, own[-1].facts
                yield Trend(first.dataset, first.checkpoint, last.checkpoint, change)
