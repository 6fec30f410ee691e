"""What a comparison found, in sentences."""

from collections.abc import Sequence
from typing import Final

from bissl_ray.controls import CONTROLS, PLAIN
from bissl_ray.leaderboard.comparison.cases import CaseResult, ComparisonBoard, Overall, OverDraws, Side, Trend
from bissl_ray.leaderboard.comparison.following import in_words
from bissl_ray.leaderboard.comparison.significance import FEWEST_FOR_RANKS, holm
from bissl_ray.leaderboard.numbers import duration, probability
from bissl_ray.metrics import Metric

_SURPRISING: Final = 0.05


def findings(board: ComparisonBoard) -> list[str]:
    """Sentences on how the gain changes over checkpoints, on all datasets together, and on all draws of the labels."""
    metrics = {case.facts.dataset: case.metric for case in board.against_plain if case.gain is not None}
    trends = [_of_trend(trend, metrics[trend.dataset]) for trend in board.trends]
    overall = [_of_overall(one, next(iter(metrics.values()))) for one in board.overall]
    return [*trends, *overall, *(_over_draws(one, metrics[one.dataset]) for one in board.draws)]


def notes(board: ComparisonBoard) -> list[str]:
    """What a reader must know to take the figures rightly."""
    lines = [case.failures for case in board.cases if case.failures is not None]
    decided = [case for case in board.cases if case.outcome != "unconfirmed"]
    about = [
        *_about_following(board.against_plain),
        *([*_about_figures(decided), _about_rows(board)] if decided else []),
    ]
    return [*lines, *about, *_about_edges(board.cases), *_about_checkpoints(board.against_plain)]


def _about_figures(decided: Sequence[CaseResult]) -> list[str]:
    plain = [case for case in decided if case.facts.control == PLAIN]
    lines = [_about_cost(plain)] if plain else []
    if any(case.tests.wilcoxon is None for case in decided):
        lines.append(
            f"p: paired t test over seeds. A rank test takes {FEWEST_FOR_RANKS} seeds that differ to reach 0.05 at "
            "all, and is left out below that."
        )
    if len(decided) > 1:
        # Differences that are all the same have no t test, and count as one of the comparisons nevertheless.
        ps = [1.0 if case.tests.t is None else case.tests.t for case in decided]
        stand = sum(p < _SURPRISING for p in holm(ps))
        lines.append(
            f"Each p and interval is for its own comparison; corrected for all {len(decided)} (Holm), "
            f"{stand or 'none'} of them stay{'s' if stand == 1 else ''} below {_SURPRISING}."
        )
    if any(case.split == "validation" for case in decided):
        lines.append("Scores on the validation split also chose the configurations, which flatters both sides.")
    return lines


def _about_edges(cases: Sequence[CaseResult]) -> list[str]:
    """What of a sweep's space to widen; with the sweep's name where there are several."""
    lines = [(case.facts.of_control or case.facts.sweep, line) for case in cases for line in case.facts.edges]
    return [line if len(cases) == 1 else f"{sweep}: {line}" for sweep, line in lines]


def _about_following(cases: Sequence[CaseResult]) -> list[str]:
    """How the gain changes with the fine-tuning that follows; with the case's name where there are several."""
    told = [(case.facts, in_words(case.frozen, case.following, case.metric)) for case in cases]
    return [
        line if len(cases) == 1 else f"{facts.dataset} from {facts.checkpoint}: {line}"
        for facts, line in told
        if line is not None
    ]


def _about_checkpoints(cases: Sequence[CaseResult]) -> list[str]:
    """What was read of each checkpoint, once for all datasets."""
    return list(dict.fromkeys(f"{case.facts.checkpoint}: {line}" for case in cases for line in case.facts.read))


def _about_rows(board: ComparisonBoard) -> str:
    return f"Of {board.rows} stored rows, fingerprint {board.rows_sha256[:12]}."


def _about_cost(cases: Sequence[CaseResult]) -> str:
    ours, theirs = _took([case.bissl for case in cases]), _took([case.control for case in cases])
    return (
        "Time and images are of one run after pretraining, from the head's warm-up on. With all tuning, BiSSL took "
        f"{ours}, fine-tuning {theirs}."
    )


def _took(sides: Sequence[Side]) -> str:
    return f"{sum(side.runs for side in sides)} runs and {duration(sum(side.total_seconds for side in sides))}"


def _of_trend(trend: Trend, metric: Metric) -> str:
    change = trend.change
    word = "does not change beyond seed noise"
    if change.low is not None and change.low > 0:
        word = "grows"
    elif change.high is not None and change.high < 0:
        word = "shrinks"
    mean = metric.gain(change.mean, unit=" points")
    interval = "" if change.low is None else f"95% interval {metric.gain(change.low)} to {metric.gain(change.high)}, "
    return (
        f"From {trend.first} to {trend.last} the gain on {trend.dataset} {word}: {mean} "
        f"({interval}{change.n} seed{'' if change.n == 1 else 's'})."
    )


def _over_draws(over: OverDraws, metric: Metric) -> str:
    gain, tests = over.gain, over.tests
    mean = metric.gain(gain.mean, unit=" points")
    against = "plain fine-tuning" if over.control == PLAIN else CONTROLS[over.control].title
    return (
        f"Over {gain.n} draws of the labels on {over.dataset} from {over.checkpoint}: {mean} on average against "
        f"{against} (95% interval over draws {metric.gain(gain.low)} to {metric.gain(gain.high)}); better in "
        f"{tests.positive}, worse in {tests.negative}."
    )


def _of_overall(overall: Overall, metric: Metric) -> str:
    gain, tests = overall.gain, overall.tests
    ranked = (
        f"sign test p {probability(tests.sign)}, Wilcoxon p {probability(tests.wilcoxon)}"
        if tests.wilcoxon is not None
        else f"a rank test takes {FEWEST_FOR_RANKS} datasets that differ"
    )
    mean = metric.gain(gain.mean, unit=" points")
    return (
        f"Over {gain.n} datasets from {overall.checkpoint}: {mean} on average (95% interval over datasets "
        f"{metric.gain(gain.low)} to {metric.gain(gain.high)}); better on {tests.positive}, worse on {tests.negative} "
        f"({ranked})."
    )
