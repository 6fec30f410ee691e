import pytest
from scipy.special import stdtrit

from bissl_ray.statistics import estimate, paired_gain, t_quantile


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 9, 10, 29, 200])
def test_quantile_of_student_agrees_with_scipy(degrees):
    assert t_quantile(degrees) == pytest.approx(stdtrit(degrees, 0.975), rel=1e-9)


def test_interval_by_hand():
    found = estimate([0.70, 0.72, 0.74])  # s = 0.02, t(2) = 4.302653, so 4.302653 * 0.02 / sqrt(3)
    assert found.mean == pytest.approx(0.72) and found.n == 3
    assert found.half_width == pytest.approx(0.0496828, abs=1e-7)
    assert found.low == pytest.approx(0.6703172, abs=1e-7)


def test_one_value_has_no_interval_and_none_no_estimate():
    assert estimate([0.0]).mean == 0.0 and estimate([0.0]).low is None and estimate([0.0]).half_width is None
    assert estimate([]) is None


def test_gain_is_paired_over_shared_seeds_only():
    found = paired_gain({0: 0.70, 1: 0.72, 7: 0.99}, {1: 0.69, 0: 0.68, 8: 0.0})
    assert found.n == 2 and found.mean == pytest.approx(0.025)
    assert found.half_width == pytest.approx(12.7062047 * 0.005, abs=1e-6)  # t(1) * s / sqrt(2), s = 0.01 / sqrt(2)
    assert paired_gain({0: 0.7}, {1: 0.7}) is None
