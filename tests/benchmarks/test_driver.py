"""`bench driver`: a sweep of trials that take no time, through all of the real stack."""

import pytest

from bissl_ray.workers import environment

pytestmark = pytest.mark.ray


def test_a_sweep_without_training_is_driven_and_resumed(monkeypatch):
    environment.prepare(None)
    from bissl_ray.benchmarks.driver import driver_table, measure_driver
    from bissl_ray.sweep import scheduler

    held = []
    forget = scheduler._forget_ended

    def noting(tune_controller):
        forget(tune_controller)
        held.append(len(tune_controller._trials))

    monkeypatch.setattr(scheduler, "_forget_ended", noting)
    monkeypatch.setattr(scheduler, "_MOST_REMEMBERED", 20)
    lines = []
    measured = measure_driver([10, 60], "tpe", lines.append)
    assert [mark.trials >= asked for mark, asked in zip(measured.marks, (10, 60), strict=True)] == [True, True]
    assert all(mark.rate > 0 and mark.memory > 0 for mark in measured.marks)
    assert measured.resume > 0
    assert measured.resumed_memory > 0
    assert len(lines) == 2
    assert len(held) > 60
    assert max(held) == 20  # Tune lets go of trials that are over
    assert driver_table(measured).renderables
