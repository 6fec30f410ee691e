import pytest

from bissl_ray.leaderboard import verdicts


@pytest.fixture
def judge(explore, seeds, control, stored):
    def judged(ours, theirs, our_test=None, their_test=None):
        rows = [explore("a", 0.5), *seeds("a", ours, our_test), control("k", 0.6)]
        (verdict,) = verdicts(stored([*rows, *seeds("k", theirs, their_test, phase="control")]))
        return verdict

    return judged


def test_wins_when_the_interval_is_above_zero(judge):
    verdict = judge({0: 0.70, 1: 0.72, 2: 0.74}, {0: 0.60, 1: 0.62, 2: 0.65})
    # Differences 0.10, 0.10, 0.09: mean 0.096667, s = 0.0057735, half 4.302653 * s / sqrt(3) = 0.0143422
    assert verdict.outcome == "wins" and verdict.decided_on == "validation"
    assert verdict.gain.mean == pytest.approx(0.0966667, abs=1e-6)
    assert verdict.gain.half_width == pytest.approx(0.0143422, abs=1e-6)
    assert verdict.sentence == (
        "BiSSL wins on cars: 72.0% against 62.3% for plain fine-tuning on the validation split, +9.7 points "
        "(95% interval +8.2 to +11.1, 3 seeds; the winner was chosen on this split, which flatters it)."
    )


def test_the_test_split_decides_when_both_sides_touched_it(judge):
    verdict = judge({0: 0.70, 1: 0.72}, {0: 0.60, 1: 0.62}, our_test={0: 0.60, 1: 0.61}, their_test={0: 0.60, 1: 0.63})
    assert verdict.gain.low > 0, "validation says that it wins"
    assert verdict.outcome == "no_difference" and verdict.decided_on == "test"
    assert verdict.test_gain.mean == pytest.approx(-0.01) and "No difference beyond seed noise" in verdict.sentence


def test_one_tested_seed_does_not_decide(judge):
    verdict = judge({0: 0.70, 1: 0.72}, {0: 0.60, 1: 0.62}, our_test={0: 0.1}, their_test={0: 0.9})
    assert verdict.outcome == "wins" and verdict.decided_on == "validation"


def test_loses_in_capitals(judge):
    verdict = judge({0: 0.50, 1: 0.52, 2: 0.54}, {0: 0.60, 1: 0.62, 2: 0.65})
    assert verdict.outcome == "loses" and verdict.sentence.startswith("BiSSL LOSES on cars")


def failed(trial):
    """Make a confirmation run one that failed."""
    return trial | {"status": "failed", "objective": None, "test_metric": None, "status_reason": "out of memory; x"}


@pytest.mark.parametrize("test", [False, True])
def test_seeds_that_failed_are_said_and_no_plain_win_is_left(explore, seeds, control, stored, test):
    scores = {1: 0.70, 2: 0.72, 3: 0.74, 4: 0.7, 5: 0.7}
    ours = seeds("a", scores, scores if test else None)
    theirs = {seed: score - 0.1 for seed, score in scores.items()}
    ours[3:] = map(failed, ours[3:])
    rows = [explore("a", 0.5), *ours, control("k", 0.6)]
    (verdict,) = verdicts(stored([*rows, *seeds("k", theirs, theirs if test else None, phase="control")]))
    assert verdict.outcome == "wins_with_failures" and (verdict.winner_failed, verdict.control_failed) == (2, 0)
    assert "BiSSL is better on cars over the seeds that both finished: 72.0% against 62.0%" in verdict.sentence
    assert verdict.failures == (
        "BiSSL failed on 2 of 5 seeds on cars (fine-tuning on none): the gain is of the 3 that both finished."
    )
    assert verdict.in_words == f"{verdict.sentence} {verdict.failures}"


def test_of_a_control_that_failed_likewise(explore, seeds, control, stored):
    theirs = seeds("k", {1: 0.6, 2: 0.6, 3: 0.6}, phase="control")
    theirs[0] = failed(theirs[0])
    ours = seeds("a", {1: 0.5, 2: 0.5, 3: 0.51})
    (verdict,) = verdicts(stored([explore("a", 0.5), *ours, control("k", 0.6), *theirs]))
    assert verdict.outcome == "loses"
    assert "Fine-tuning failed on 1 of 3 seeds on cars (BiSSL on none): the gain is of the 2" in verdict.in_words
    ours[2] = failed(ours[2])
    (verdict,) = verdicts(stored([*ours], sweep="first"))
    assert verdict.outcome == "unconfirmed"
    assert "BiSSL failed on 1 of 3 seeds on cars (fine-tuning on 1): both finished 1." in verdict.in_words


def test_a_look_at_the_test_split_that_failed_counts_where_that_decides(judge):
    nan = float("nan")
    scores = {1: 0.7, 2: 0.71, 3: 0.72}
    verdict = judge(scores, {s: v - 0.1 for s, v in scores.items()}, {1: 0.7, 2: 0.7, 3: nan}, {1: 0.6, 2: 0.6, 3: 0.6})
    assert verdict.outcome == "wins_with_failures" and verdict.decided_on == "test" and verdict.winner_failed == 1


def test_equal_scores_are_no_difference(judge):
    verdict = judge({0: 0.5, 1: 0.5}, {0: 0.5, 1: 0.5})
    assert verdict.outcome == "no_difference" and verdict.gain.low == verdict.gain.high == 0


def test_unconfirmed_says_what_is_missing(explore, seeds, control, stored, judge):
    one = judge({0: 0.7, 1: 0.8}, {1: 0.6, 2: 0.6})
    assert one.outcome == "unconfirmed" and "share 1 seed" in one.sentence and one.gain.n == 1
    (_, lonely) = verdicts(stored([explore("a", 0.5), *seeds("a", {0: 0.7, 1: 0.7})], sweep="second"))
    assert "plain fine-tuning has no confirmed run" in lonely.sentence and lonely.winner == "a"
    (_, _, exploring) = verdicts(stored([explore("a", 0.512), explore("b", 0.5), control("k", 0.9)], sweep="third"))
    assert "best explored so far is a at 51.2%" in exploring.sentence and exploring.control is None
    (_, _, _, nothing) = verdicts(stored([explore("a", None, "failed")], sweep="two"))[:4]
    assert "no trial has a score" in nothing.sentence
    assert (nothing.winner_failed, nothing.control_failed) == (0, 0)


def test_of_two_level_configurations_the_one_that_was_tested_is_the_winner(explore, seeds, control, stored):
    # 0.8 explored against 0.5: the sweep confirms b first. Level over the seeds, its planner then tests a.
    level = {0: 0.7, 1: 0.8}
    rows = [explore("b", 0.8), explore("a", 0.5), *seeds("b", level), *seeds("a", level, test=level)]
    rows += [control("k", 0.6), *seeds("k", level, test=level, phase="control")]
    (verdict,) = verdicts(stored(rows))
    assert verdict.winner == "a" and verdict.decided_on == "test"


def test_the_best_confirmed_point_of_the_control_is_compared(decided):
    (verdict,) = verdicts(decided)
    assert (verdict.winner, verdict.control) == ("a", "k1")
    assert verdict.control_objective.mean == pytest.approx(0.68) and verdict.test_gain.n == 3
