"""Tune is handed what the planner says, no more at a time than there are worker groups."""

from collections.abc import Callable
from functools import partial

from ray.tune.search import Searcher

from bissl_ray.config.data_choice import DataChoice
from bissl_ray.search.planner import Planner
from bissl_ray.search.plans import TEST_STAGES, Plan
from bissl_ray.search.proposals import finetune_points
from bissl_ray.sweep.room import Room
from bissl_ray.sweep.searcher import InFlight, PlannedSearcher
from bissl_ray.training.order import Order
from tests.search.small_space import space
from tests.search.whole_sweep import ByName

SPACE = space()


def order_of(plan: Plan) -> Order:
    record = plan.record
    return Order(
        trial=record.trial,
        data=DataChoice("digits"),
        storage="memory",
        sweep="s",
        settings=SPACE.settings(record.point),
        seed=record.seed,
        stages=plan.stages,
        start=plan.start or "start.pt",
    )


def searcher(
    stopped: Callable[[], bool] = lambda: False,
    slots: int = 2,
    room: Room | None = None,
    order_of: Callable[[Plan], Order] = order_of,
) -> tuple[PlannedSearcher, Planner]:
    planner = Planner(SPACE.protocol, ByName(), partial(finetune_points, SPACE))
    # A searcher writes no row and tells Optuna nothing.
    flight = InFlight(planner, proposals=None, writer=None, room=room or Room(slots), progress_of=None)
    return PlannedSearcher(flight, order_of, stopped), planner


def finish(ours: PlannedSearcher, planner: Planner, trial_id: str) -> Plan:
    """What the recorder does at a trial's end."""
    plan = ours.flight.running.pop(trial_id).plan
    if plan.stages == TEST_STAGES:
        plan.record.test_metric = 0.5
    else:
        plan.record.status, plan.record.objective = "complete", 0.5
    planner.ended(plan)
    return plan


def test_no_more_than_there_are_groups():
    ours, planner = searcher()
    first, second = ours.suggest("tune-a"), ours.suggest("tune-b")
    assert (first["trial"], second["trial"]) == ("t000", "t001")
    assert first["explore"] is True
    assert ours.suggest("tune-c") is None
    assert len(planner.records) == 2
    finish(ours, planner, "tune-a")
    assert ours.suggest("tune-c")["trial"] == "t002"


def test_an_order_comes_whole_and_as_plain_text():
    ours, _ = searcher()
    configuration = ours.suggest("tune-a")
    order, plan = Order.model_validate_json(configuration["order"]), ours.flight.running["tune-a"].plan
    assert order == order_of(plan) == ours.flight.running["tune-a"].order
    assert order.settings == SPACE.settings(plan.record.point)


def test_a_whole_sweep_goes_through_it():
    ours, planner = searcher(slots=3)
    explored = 0
    ended = []
    for number in range(1000):
        answer = ours.suggest(f"tune-{number}")
        if answer == Searcher.FINISHED:
            break
        if answer is None:
            ended.append(finish(ours, planner, next(iter(ours.flight.running))))
        else:
            explored += answer["explore"]
    assert planner.finished
    assert not ours.flight.running
    assert explored == SPACE.protocol.trials
    assert len(ended) == 26 + 2 * SPACE.protocol.seeds


def test_who_watches_can_hold_it_and_have_it_end():
    ours, planner = searcher()
    ours._wishes.hold = True
    assert ours.suggest("tune-a") is None and not planner.records
    ours._wishes.hold = False
    assert isinstance(ours.suggest("tune-b"), dict)
    ours._wishes.stop = True
    assert ours.suggest("tune-c") == Searcher.FINISHED
    assert list(planner.records) == ["t000"] and list(ours.flight.running) == ["tune-b"]


def test_told_to_stop_it_finishes():
    asked = False
    ours, planner = searcher(lambda: asked)
    ours.suggest("tune-a")
    asked = True
    assert ours.suggest("tune-b") == Searcher.FINISHED
    assert list(planner.records) == ["t000"]
