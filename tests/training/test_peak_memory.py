"""The peak of a trial's memory: its own, whatever ran in the process before it."""

from contextlib import contextmanager
from mmap import mmap

from bissl_ray.training.peak_memory import PeakMemory
from tests.training.small_trial import CPU, Reports, order, run, write_start

MIB = 2**20


@contextmanager
def held(size):
    """So much memory, which the system has back afterwards, whatever an allocator would keep."""
    with mmap(-1, size) as pages:
        pages.write(b"1" * size)
        yield


def test_it_rises_with_what_is_held_and_stays_when_that_is_let_go():
    peak = PeakMemory(CPU)
    before = peak.bytes
    with held(64 * MIB):
        assert peak.bytes - before > 60 * MIB
        most = peak.bytes
    assert peak.bytes > most - MIB, "Linux counts pages in bunches"


def test_a_later_one_does_not_count_what_an_earlier_one_held():
    with held(128 * MIB):
        with_it = PeakMemory(CPU).bytes
    assert with_it - PeakMemory(CPU).bytes > 100 * MIB


def test_where_the_system_does_not_say_nothing_is_said(tmp_path):
    assert PeakMemory(CPU, tmp_path / "nowhere").bytes is None
    (tmp_path / "status").write_text("Name:\tpython\n")
    assert PeakMemory(CPU, tmp_path).bytes is None
    (tmp_path / "status").write_text("VmHWM:\t    2048 kB\n")
    assert PeakMemory(CPU, tmp_path).bytes == 2 * MIB


def test_a_trial_says_it_with_every_report(tmp_path):
    write_start(tmp_path)
    reports = Reports()
    run(order(tmp_path), reports=reports)
    told = [row["so_far"]["peak_memory"] for row in reports]
    assert told == sorted(told)
    assert told[-1] > 50 * MIB
