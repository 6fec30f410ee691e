"""Hyperband's brackets: shares, dealing, and what each takes."""

from collections import Counter
from itertools import pairwise

import pytest

from bissl_ray.config.protocol import Protocol
from bissl_ray.search.brackets import Brackets


def brackets(count, alternations=27, **protocol):
    return Brackets(Protocol(**{"grace": 1, "reduction_factor": 3, "brackets": count, **protocol}), alternations)


def test_shares_are_those_of_the_paper():
    """Its table 1: r = 3, at most 81 of a resource: 81, 34, 15, 8 and 5 configurations, before they are rounded up."""
    found = brackets(5, alternations=81)
    assert [found.rungs(b) for b in range(5)] == [[1, 3, 9, 27], [3, 9, 27], [9, 27], [27], []]
    configurations = [5 * 3**s / (s + 1) for s in (4, 3, 2, 1, 0)]
    assert found.shares == pytest.approx([n / sum(configurations) for n in configurations])


def test_each_bracket_takes_about_as_much():
    found = brackets(4)
    for bracket, share in enumerate(found.shares):
        levels = [0, *found.rungs(bracket), 27]
        left, taken = share, 0.0
        for low, high in pairwise(levels):
            taken += left * (high - low)
            left /= 3
        # As the paper counts it, each rung starts anew, and all are equal; here a trial goes on, which spares the more
        # the more rungs it has had.
        assert 1.6 < taken < 2.3, (bracket, taken)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_they_are_dealt_out_evenly_by_the_number_alone(count):
    found = brackets(count)
    names = [f"t{i:03d}" for i in range(200)]
    dealt = [found.of(name) for name in names]
    for seen in (10, 50, 200):
        numbers = Counter(dealt[:seen])
        assert all(abs(numbers[b] - seen * share) <= 1.5 for b, share in enumerate(found.shares))
    again = brackets(count)
    assert [again.of(name) for name in reversed(names)] == dealt[::-1]


def test_there_are_no_more_than_there_are_rungs_and_one_needs_no_names():
    assert brackets(10, alternations=9).count == 3
    assert brackets(1).of("anything") == 0
