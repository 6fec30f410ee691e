"""How surprising paired differences would be if both sides were alike: two-sided p by three tests.

scipy does the arithmetic. It takes a second to import, so only a comparison does that, never the board.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

FEWEST_FOR_RANKS: Final = 6
"""Differences that a sign or rank test takes to reach p < 0.05 at all: of 5, all of one sign, p is 2 / 2⁵ = 0.0625."""

_MOST_ENUMERATED: Final = 14
"""Differences up to which Wilcoxon's p is exact, ties included, by going through all 2ⁿ signs."""


@dataclass(frozen=True)
class PairedTests:
    """Tests of one sample of paired differences.

    Attributes:
        n: differences.
        positive: of them, those above zero.
        negative: of them, those below zero.
        t: p of the paired t test; None for fewer than two differences, and where all are alike but not zero.
        wilcoxon: p of Wilcoxon's signed-rank test; None for fewer than six differences other than zero.
        sign: p of the sign test; None likewise.
    """

    n: int
    positive: int
    negative: int
    t: float | None
    wilcoxon: float | None
    sign: float | None


def paired_tests(differences: Sequence[float]) -> PairedTests:
    """Test whether differences are centred at zero.

    Args:
        differences: treated - control, one per pair.
    """
    # Scores are shares of whole images: differences that are the same must be so to the last bit, to be ties.
    differences = [round(difference, 12) for difference in differences]
    positive = sum(difference > 0 for difference in differences)
    negative = sum(difference < 0 for difference in differences)
    ranked = positive + negative >= FEWEST_FOR_RANKS
    return PairedTests(
        n=len(differences),
        positive=positive,
        negative=negative,
        t=_t(differences),
        wilcoxon=_wilcoxon(differences) if ranked else None,
        sign=_sign(positive, negative) if ranked else None,
    )


def holm(values: Sequence[float]) -> list[float]:
    """Correct several p for their number (Holm 1979): each is then right for all of them together.

    Args:
        values: p of each test.

    Returns:
        Corrected p, in the same order.
    """
    corrected = [0.0] * len(values)
    largest = 0.0
    for rank, i in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        largest = max(largest, min(1.0, (len(values) - rank) * values[i]))
        corrected[i] = largest
    return corrected


def _t(differences: Sequence[float]) -> float | None:
    from scipy.stats import ttest_1samp

    if len(differences) < 2:
        return None
    if len(set(differences)) == 1:  # t is 0 / 0, or infinite
        return 1.0 if differences[0] == 0 else None
    p = float(ttest_1samp(differences, 0.0).pvalue)
    return p if math.isfinite(p) else None


def _wilcoxon(differences: Sequence[float]) -> float:
    from scipy.stats import PermutationMethod, wilcoxon

    signed = [difference for difference in differences if difference]
    few = len(signed) <= _MOST_ENUMERATED
    method = PermutationMethod(n_resamples=2**_MOST_ENUMERATED) if few else "asymptotic"
    return float(wilcoxon(signed, method=method).pvalue)


def _sign(positive: int, negative: int) -> float:
    from scipy.stats import binomtest

    return float(binomtest(positive, positive + negative).pvalue)
