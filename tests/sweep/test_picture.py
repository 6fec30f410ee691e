"""What a person sees of a sweep whose trials find no room on the cluster."""

from dataclasses import replace
from types import SimpleNamespace

from bissl_ray.search.forecast import Forecast
from bissl_ray.sweep.picture import Picture
from tests.sweep.test_searcher import searcher
from tests.views import Seen


def test_a_run_that_does_not_begin_waits_for_room(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("bissl_ray.sweep.picture.world", lambda: SimpleNamespace(monotonic=lambda: clock.now))
    ours, _ = searcher(slots=3)
    flight = replace(ours.flight, writer=SimpleNamespace(trouble=None, trials=[], dataset="digits"))
    seen = Seen()
    picture = Picture(flight, Forecast(4, lambda kind: 1.0), seen)
    for run in ("a", "b", "c"):
        ours.suggest(run)
    picture.began("a")
    for iteration, seconds in enumerate((0.0, 29.0, 31.0, 32.0)):
        clock.now = seconds
        picture.step_begins(iteration)
        picture.step_ends()
    (shown,) = seen.progress
    assert shown.running == 1
    assert shown.trouble == "t001, t002: waits for room on the cluster, whose CPUs or GPUs others hold"
    picture.began("b")
    picture.step_begins(8)
    clock.now = 50.0
    picture.step_ends()
    assert seen.progress[-1].trouble == "t002 waits for room on the cluster, whose CPUs or GPUs others hold"
    picture.began("c")
    picture.step_begins(9)
    clock.now = 60.0
    picture.step_ends()
    assert seen.progress[-1].running == 3 and seen.progress[-1].trouble is None
