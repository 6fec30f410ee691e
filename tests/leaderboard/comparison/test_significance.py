"""p of paired differences, against scipy called another way, closed forms and enumeration by hand."""

import math
import random
import warnings
from itertools import product

import pytest
from scipy.stats import t as student
from scipy.stats import ttest_rel, wilcoxon

from bissl_ray.leaderboard.comparison.significance import holm, paired_tests


def gains(n, seed, shift=0.3):
    draw = random.Random(seed)
    return [draw.gauss(shift, 1.0) for _ in range(n)]


@pytest.mark.parametrize("n", [2, 3, 5, 6, 10, 30])
def test_t_and_wilcoxon_are_scipys(n):
    differences = gains(n, n)
    found = paired_tests(differences)
    assert found.t == pytest.approx(ttest_rel(differences, [0.0] * n).pvalue, rel=1e-9)
    t = sum(differences) / n / (math.sqrt(sum((d - sum(differences) / n) ** 2 for d in differences) / (n - 1)) / n**0.5)
    assert found.t == pytest.approx(2 * student.sf(abs(t), n - 1), rel=1e-9), "by the formula"
    if n < 6:
        assert found.wilcoxon is None and found.sign is None
    else:
        expected = wilcoxon(differences, method="exact" if n <= 14 else "asymptotic")
        assert found.wilcoxon == pytest.approx(expected.pvalue, rel=1e-9)


def test_ties_and_zeros_are_enumerated():
    differences = [0.02, 0.02, -0.02, 0.05, 0.03, 0.03, 0.0, 0.01]
    ranks = {0.01: 1.0, 0.02: 3.0, 0.03: 5.5, 0.05: 7.0}  # mean ranks; the zero is left out
    signed = [d for d in differences if d]
    observed = sum(math.copysign(ranks[abs(d)], d) for d in signed)
    sums = [sum(s * ranks[abs(d)] for s, d in zip(signs, signed, strict=True)) for signs in product((-1, 1), repeat=7)]
    expected = sum(abs(total) >= abs(observed) - 1e-9 for total in sums) / len(sums)
    found = paired_tests(differences)
    assert found.wilcoxon == pytest.approx(expected)
    assert (found.n, found.positive, found.negative) == (8, 6, 1)
    assert found.sign == pytest.approx(2 * (1 + 7) / 2**7), "6 of 7 or more, either way"


def test_differences_that_differ_by_rounding_are_tied():
    exact, rounded = [0.1, 0.1, 0.1, -0.1, 0.1, 0.1, 0.1], [0.3 - 0.2, 0.1, 0.4 - 0.3, -0.1, 0.1, 0.9 - 0.8, 0.1]
    assert len(set(rounded)) > 2
    assert paired_tests(rounded).wilcoxon == paired_tests(exact).wilcoxon


def test_all_of_one_sign_reach_no_less_than_the_number_allows():
    assert paired_tests([0.1, 0.2, 0.3, 0.4, 0.5]).wilcoxon is None
    assert paired_tests([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]).wilcoxon == pytest.approx(2 / 2**6)


@pytest.mark.parametrize(("differences", "t"), [([], None), ([0.1], None), ([0.0, 0.0], 1.0), ([0.1, 0.3 - 0.2], None)])
def test_what_has_no_spread(differences, t):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert paired_tests(differences).t == t


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0] and holm([]) == []
