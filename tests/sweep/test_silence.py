"""A run has hung when it was silent for many times as long as others of its kind take; slow ones are left alone."""

import pytest

from bissl_ray.config.protocol import Protocol
from bissl_ray.sweep.silence import Silence
from bissl_ray.words import Phase, Step
from bissl_ray.world import World, inside

EXPLORE, SEEDS = (Phase.EXPLORE, Step.SEARCH), (Phase.CONFIRM, Step.SEEDS)


class Clock(World):
    """A world whose time passes when it is told to."""

    def __init__(self) -> None:
        self.time = 0.0

    def monotonic(self) -> float:
        return self.time


@pytest.fixture
def clock():
    around = Clock()
    with inside(around):
        yield around


def pass_by(clock: Clock, silence: Silence, seconds: float, **how: bool) -> dict[str, str]:
    """Let time pass as in a driver, which looks all the time; those that have hung meanwhile."""
    found: dict[str, str] = {}
    for _ in range(round(seconds)):
        clock.time += 1
        found |= dict(silence.look(**how))
    return found


def test_a_run_hangs_that_is_silent_for_many_times_what_is_usual(clock):
    silence = Silence(Protocol(hung_after=10, hung_minutes=1))
    for run in ("a", "b"):
        silence.began(run, EXPLORE)
    assert pass_by(clock, silence, 20) == {}
    silence.reported("a")
    assert pass_by(clock, silence, 175) == {}, "195 s is less than ten times 20 s"
    silence.reported("a")  # after 175 s: that is usual from now on
    assert pass_by(clock, silence, 1500) == {}
    found = pass_by(clock, silence, 300)
    assert found["b"].startswith("no report for ") and "usual: 2m 55s at most" in found["b"]


def test_no_run_hangs_below_the_floor_nor_before_any_of_its_kind_has_reported(clock):
    silence = Silence(Protocol(hung_after=2, hung_minutes=30))
    silence.began("quick", EXPLORE)
    pass_by(clock, silence, 1)
    silence.reported("quick")
    assert pass_by(clock, silence, 1799) == {}
    assert "quick" in pass_by(clock, silence, 10)
    silence.over("quick")
    silence.began("seeds", SEEDS)
    assert pass_by(clock, silence, 4 * 3600) == {}
    assert pass_by(clock, silence, 20 * 3600 + 9)["seeds"] == "no report for 1d 00h (none of its kind has reported yet)"


def test_signs_of_life_count_and_are_not_taken_for_reports(clock):
    silence = Silence(Protocol(hung_after=2, hung_minutes=1))
    silence.began("a", EXPLORE)
    pass_by(clock, silence, 100)
    silence.reported("a")
    for _ in range(50):
        assert pass_by(clock, silence, 190) == {}
        silence.heard("a")
    # What was spent waiting for something else is not usual.
    silence.heard("a", waits=True)
    silence.reported("a")
    assert "usual: 1m 40s" in pass_by(clock, silence, 250)["a"]


def test_the_time_that_the_driver_stood_still_counts_for_nobody(clock):
    silence = Silence(Protocol(hung_after=2, hung_minutes=1))
    silence.began("a", EXPLORE)
    pass_by(clock, silence, 10)
    silence.reported("a")
    clock.time += 10 * 3600  # Ctrl-Z, or a machine that slept
    assert dict(silence.look()) == {} and pass_by(clock, silence, 50) == {}
    assert "a" in pass_by(clock, silence, 20)


def test_none_hangs_while_all_wait_nor_where_it_is_turned_off(clock):
    silence = Silence(Protocol(hung_after=2, hung_minutes=1))
    silence.began("a", EXPLORE)
    pass_by(clock, silence, 5)
    silence.reported("a")
    assert pass_by(clock, silence, 5000, all_wait=True) == {}
    never = Silence(Protocol(hung_after=None))
    never.began("a", EXPLORE)
    assert pass_by(clock, never, 2 * 86400) == {}
