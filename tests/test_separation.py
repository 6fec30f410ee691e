"""Which configurations are told apart, and how often noise alone is taken for a difference."""

import random

import pytest

from bissl_ray.separation import confidence_of_look, look, rounds_of_seeds

A = dict(enumerate([0.90, 0.91, 0.89, 0.90, 0.90]))
B = dict(enumerate([0.91, 0.89, 0.90, 0.91, 0.90]))
"""Close to A: the one is better with some seeds, the other with others."""


def scores(mean):
    return {seed: mean + score - 0.9 for seed, score in A.items()}


def test_rounds_double_up_to_the_most():
    assert rounds_of_seeds(5, None) == [5]
    assert rounds_of_seeds(5, 5) == [5]
    assert rounds_of_seeds(5, 20) == [5, 10, 20]
    assert rounds_of_seeds(3, 10) == [3, 6, 10]


def test_each_look_has_an_equal_share_of_the_error():
    assert confidence_of_look(0.95, 1) == 0.95
    assert confidence_of_look(0.95, 5) == pytest.approx(0.99)


def test_what_is_plainly_behind_is_out_and_a_single_winner_on_either_side_is_apart():
    found = look([["a", "b"], ["k"]], {"a": B, "b": scores(0.5), "k": scores(0.7)}, 0.95)
    assert found.ahead == (("a",), ("k",))
    assert found.apart
    assert found.going_on == frozenset()


def test_two_that_are_close_go_on_without_the_others():
    told = {"a": A, "b": B, "c": scores(0.5), "k": scores(0.7)}
    found = look([["a", "b", "c"], ["k"]], told, 0.95)
    assert set(found.ahead[0]) == {"a", "b"}
    assert not found.apart
    assert found.going_on == {"a", "b"}, "the control is told apart from either"


def test_the_control_goes_on_where_it_is_close():
    found = look([["a"], ["k"]], {"a": A, "k": B}, 0.95)
    assert found.going_on == {"a", "k"}


def test_the_difference_is_paired():
    """Seeds differ by far more than the configurations do, and alike."""
    noise = {seed: random.Random(seed).uniform(0, 0.5) for seed in range(5)}
    a = {seed: 0.01 + noise[seed] for seed in noise}
    b = {seed: noise[seed] + 1e-4 * seed for seed in noise}
    assert look([["a"], ["b"]], {"a": a, "b": b}, 0.95).apart


def test_without_scores_it_is_out_and_one_seed_tells_nothing():
    found = look([["a", "b"], ["k"]], {"a": B, "b": {}, "k": {0: 0.1}}, 0.95)
    assert found.ahead == (("a",), ("k",))
    assert not found.apart
    assert look([[], ["k"]], {"k": scores(0.5)}, 0.95).apart, "nothing to be told apart from"


@pytest.mark.slow
def test_noise_is_told_apart_as_rarely_as_was_asked_for_however_often_it_is_looked_at():
    rounds = rounds_of_seeds(5, 40)
    confidence = confidence_of_look(0.95, len(rounds))
    drawn, repeats, mistakes = random.Random(3), 2000, 0
    for _ in range(repeats):
        both = {name: {seed: drawn.gauss(0, 1) for seed in range(rounds[-1])} for name in ("a", "k")}
        mistakes += any(
            look([["a"], ["k"]], {name: dict(list(own.items())[:n]) for name, own in both.items()}, confidence).apart
            for n in rounds
        )
    assert mistakes / repeats < 0.05
