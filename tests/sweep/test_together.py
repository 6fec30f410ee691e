"""Several sweeps on the same groups: whose turn it is, what each has room for, what its time counts."""

from types import SimpleNamespace

import pytest
from ray.tune.search import Searcher

from bissl_ray.config.protocol import parse_budget
from bissl_ray.progress import Note, SweepProgress
from bissl_ray.sweep.parts import _Limit
from bissl_ray.sweep.room import Room
from bissl_ray.sweep.searcher import SWEEP
from bissl_ray.sweep.standing_by import StandingBy
from bissl_ray.sweep.together import EachByItsOwn, InTurn, Named, Rest, Turns, WhenAnyAsks
from tests.sweep.test_searcher import finish, order_of, searcher
from tests.views import Seen


def _together(*names: str, slots: int = 2):
    turns, room = Turns(len(names)), Room(slots, gpus=8.0)
    ours = {}
    for name in names:
        ours[name], planner = searcher(
            room=Rest(room, turns, name),
            order_of=lambda plan, name=name: order_of(plan).model_copy(update={SWEEP: name}),
        )
        turns.flights[name] = ours[name].flight
        assert planner is turns.flights[name].planner
    return turns, room, ours


def _run_out(searching, ours, slots: int) -> list[tuple[str, str]]:
    """Run all that there is, the oldest run ending first; the runs by sweep and trial."""
    ran, running = [], []
    for number in range(2000):
        found = searching.suggest(f"tune-{number}")
        if isinstance(found, dict):
            running.append((found[SWEEP], f"tune-{number}"))
            ran.append((found[SWEEP], found["trial"]))
            assert len(running) <= slots
        elif running:
            name, run = running.pop(0)
            finish(ours[name], ours[name].flight.planner, run)
        else:
            assert found == Searcher.FINISHED
            break
    return ran


def test_the_first_comes_first_and_the_next_fills_what_it_leaves():
    turns, room, ours = _together("a", "b", slots=3)
    ran = _run_out(InTurn(list(ours.values()), room), ours, slots=3)
    names = [name for name, _ in ran]
    assert names[:3] == ["a"] * 3 and names[-1] == "b"
    last_of_a = len(names) - 1 - names[::-1].index("a")
    assert "b" in names[:last_of_a], "nothing of b ran while a had runs to wait for"
    alone = {}
    for name in ("a", "b"):
        _, room, one = _together(name, slots=3)
        alone[name] = _run_out(InTurn(list(one.values()), room), one, slots=3)
    assert sorted(ran) == sorted([*alone["a"], *alone["b"]])
    assert turns.front is None


def test_a_group_that_stands_idle_is_all_that_the_next_gets():
    turns, room, ours = _together("a", "b", slots=2)
    searching = InTurn(list(ours.values()), room)
    assert [searching.suggest(str(number))[SWEEP] for number in range(2)] == ["a", "a"]
    assert searching.suggest("2") is None
    assert turns.front == "a" and turns.beside("b") == {"a": 2} and turns.beside("a") == {}
    rest = Rest(room, turns, "b")
    assert (rest.slots(), rest.share(), Rest(room, turns, "a").share()) == (0, 0.0, 1.0)
    room._slots = 3
    assert (rest.slots(), rest.share()) == (1, 0.0)
    ours["b"].suggest("3")
    assert rest.share() == pytest.approx(1 / 3) and Rest(room, turns, "a").share() == pytest.approx(2 / 3)
    room._slots = 0
    assert (rest.slots(), rest.share()) == (0, 0.0)


def test_it_says_how_many_groups_it_could_use():
    _, room, ours = _together("a", slots=2)
    wanted: list[int | None] = []
    room.want = wanted.append
    searching = InTurn(list(ours.values()), room)
    while isinstance(searching.suggest(str(len(wanted))), dict):
        pass
    assert wanted == [None, None]  # all that there is, and it is full
    room._slots = 99
    while isinstance(searching.suggest(str(len(wanted))), dict):
        pass
    # It waits for those that run; one more would tell it when there is something to run again.
    assert set(wanted[:-1]) == {None} and wanted[-1] == len(ours["a"].flight.running) + 1


def test_one_that_is_told_to_stop_ends_when_all_are():
    asked = []
    _, room, ours = _together("a", "b")
    for each in ours.values():
        each._stopped = lambda: bool(asked)
    searching = InTurn(list(ours.values()), room)
    assert isinstance(searching.suggest("0"), dict)
    asked.append(True)
    assert searching.suggest("1") == Searcher.FINISHED


def test_reports_are_judged_by_the_rungs_of_their_own_sweep():
    heard = []

    def of(name: str) -> SimpleNamespace:
        def hears(what: str):
            return lambda controller, trial, *result: heard.append((name, what)) or f"{what} {name}"

        kinds = ("on_trial_add", "on_trial_result", "on_trial_complete", "on_trial_remove")
        return SimpleNamespace(**{kind: hears(kind) for kind in kinds})

    each = EachByItsOwn({"a": of("a"), "b": of("b")}, idle=lambda: 1)
    trial, controller = SimpleNamespace(config={SWEEP: "b"}), SimpleNamespace(_trials=[])
    each.on_trial_add(controller, trial)
    assert isinstance(controller._actor_cache, StandingBy)
    assert each.on_trial_result(None, trial, {}) == "on_trial_result b"
    each.on_trial_complete(None, trial, {})
    each.on_trial_remove(None, trial)
    each.on_trial_error(None, trial)
    kinds = ["on_trial_add", "on_trial_result", "on_trial_complete", "on_trial_remove", "on_trial_remove"]
    assert heard == [("b", kind) for kind in kinds]


def test_all_look_at_their_budgets_and_any_may_stop_all():
    asked = []
    stopper = WhenAnyAsks([lambda: bool(asked.append("a")), lambda: True, lambda: bool(asked.append("c"))])
    assert stopper.stop_all() and asked == ["a", "c"]
    assert not WhenAnyAsks([lambda: False]).stop_all()


def test_who_is_in_front_is_shown_and_notes_have_their_names():
    turns, _, ours = _together("a", "b")
    seen = Seen()
    views = {name: Named(seen, turns, name) for name in ours}
    ours["b"].suggest("0")
    for view in views.values():
        view.show(Note("lost"))
        view.show(SweepProgress("exploring", 3, 1))
    assert seen.notes == ["a: lost", "b: lost"]
    (shown,) = seen.progress
    assert shown.sweep == "a" and shown.beside == {"b": 1}


def test_one_alone_is_shown_as_it_is():
    turns, _, _ = _together("a")
    seen = Seen()
    Named(seen, turns, "a").show(Note("lost"))
    Named(seen, turns, "a").show(SweepProgress("exploring", 3, 1))
    assert seen.notes == ["lost"] and seen.progress[0].sweep is None


@pytest.mark.parametrize(("budget", "seconds"), [("1h", 7200), ("4gpuh", 3600)])
def test_a_budget_counts_the_part_that_a_sweep_has(monkeypatch, budget, seconds):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("bissl_ray.sweep.parts.world", lambda: SimpleNamespace(monotonic=lambda: clock.now))
    ended = []
    room = Room(2, gpus=8.0)
    room.share = lambda: 0.5
    limit = _Limit(SimpleNamespace(end_exploring=ended.append), lambda: False, parse_budget(budget), room)
    clock.now = seconds - 1.0
    assert not limit() and not ended
    clock.now = seconds
    assert not limit() and ended == ["the budget is spent"]


def test_a_budget_is_not_used_while_nothing_runs_as_asked(monkeypatch):
    clock, idles, ended = SimpleNamespace(now=0.0), True, []
    monkeypatch.setattr("bissl_ray.sweep.parts.world", lambda: SimpleNamespace(monotonic=lambda: clock.now))
    limit = _Limit(
        SimpleNamespace(end_exploring=ended.append), lambda: False, parse_budget("1h"), Room(2), lambda: idles
    )
    clock.now = 7200.0
    limit()
    idles, clock.now = False, 7200.0 + 600.0
    limit()
    assert not ended and limit.spent() == (600.0, 3600.0, "wall")


def test_gpus_count_as_they_were_at_the_time(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("bissl_ray.sweep.parts.world", lambda: SimpleNamespace(monotonic=lambda: clock.now))
    ended = []
    room = Room(2, gpus=2.0)
    limit = _Limit(SimpleNamespace(end_exploring=ended.append), lambda: False, parse_budget("4gpuh"), room)
    clock.now = 3600.0
    limit()
    room._gpus = 8.0  # machines have joined
    clock.now = 3600.0 + 899.0
    limit()
    assert not ended
    clock.now = 3600.0 + 900.0
    limit()
    assert ended
