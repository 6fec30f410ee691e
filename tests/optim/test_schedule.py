import math

import pytest

from bissl_ray.optim import WarmupCosine


def test_first_step_is_at_the_warm_up_rate_and_the_last_is_near_zero():
    schedule = WarmupCosine(total_steps=14, warmup_steps=4)
    factors = [schedule.factor(step) for step in range(15)]
    assert factors[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert factors[9] == pytest.approx(0.5)  # half of the cosine's ten steps
    assert factors[13] == pytest.approx(0.5 * (1 + math.cos(0.9 * math.pi)))
    assert factors[14] == 0.0
    assert sorted(factors[4:], reverse=True) == factors[4:]


def test_without_warm_up_the_first_step_is_at_the_peak():
    assert WarmupCosine(10, 0).factor(0) == 1.0


def test_warm_up_longer_than_the_run_only_rises():
    assert [WarmupCosine(2, 10).factor(step) for step in range(2)] == [0.1, 0.2]


@pytest.mark.parametrize(("total", "warmup", "named"), [(0, 0, "total_steps is 0"), (5, -1, "warmup_steps is -1")])
def test_lengths_out_of_range_are_named(total, warmup, named):
    with pytest.raises(ValueError, match=named):
        WarmupCosine(total, warmup)
