"""Budgets as people write them."""

import pytest

from bissl_ray.config.protocol import Budget, parse_budget
from bissl_ray.errors import BadInputError


@pytest.mark.parametrize(
    ("text", "seconds", "of"),
    [
        ("30s", 30.0, "wall"),
        ("90m", 5400.0, "wall"),
        ("2h", 7200.0, "wall"),
        ("1.5d", 129600.0, "wall"),
        (" 2 H ", 7200.0, "wall"),
        ("40gpuh", 144000.0, "gpu"),
        ("0.5GPUh", 1800.0, "gpu"),
    ],
)
def test_budgets_are_read(text, seconds, of):
    assert parse_budget(text) == Budget(seconds, of)


@pytest.mark.parametrize(
    "text", ["", "90", "h", "-2h", "2w", "2h30m", "0h", "0.0gpuh", "1e3h", ".5h", "inf h", "40gpu"]
)
def test_anything_else_is_refused(text):
    with pytest.raises(BadInputError, match=r"--budget .*: expected a time such as 90m.*40gpuh"):
        parse_budget(text)


def test_a_decimal_comma_is_told_to_be_a_dot():
    with pytest.raises(BadInputError, match=r"40gpuh; write 1\.5h$"):
        parse_budget("1,5h")


def test_when_it_is_spent():
    hour = parse_budget("1h")
    assert not hour.spent(3599.0, 8 * 3599.0)
    assert hour.spent(3600.0, 0.0)
    gpu_hour = parse_budget("1gpuh")
    assert not gpu_hour.spent(449.0, 8 * 449.0)
    assert gpu_hour.spent(450.0, 8 * 450.0)
