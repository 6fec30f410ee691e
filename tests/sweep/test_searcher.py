"""Tune is handed what the planner says, no more at a time than there are worker groups."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from unittest import mock

import pytest
from ray.tune.search import Searcher

from bissl_ray.config.data_choice import DataChoice
from bissl_ray.search.planner import Planner
from bissl_ray.search.plans import TEST_STAGES, Plan
from bissl_ray.search.promotion import Rungs
from bissl_ray.search.proposals import finetune_points
from bissl_ray.search.records import Record
from bissl_ray.store import SweepWriter, read_trials, to_rows
from bissl_ray.sweep.room import Room
from bissl_ray.sweep.searcher import InFlight, PlannedSearcher
from bissl_ray.training.order import Order
from bissl_ray.words import Phase, Status, Step
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


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[SweepWriter]:
    with SweepWriter(tmp_path, "digits", "s", {}) as open_writer:
        yield open_writer


def searcher(
    writer: SweepWriter,
    stopped: Callable[[], bool] = lambda: False,
    slots: int = 2,
    records: Iterable[Record] = (),
    rungs: Rungs | None = None,
) -> tuple[PlannedSearcher, Planner]:
    planner = Planner(SPACE.protocol, ByName(), partial(finetune_points, SPACE), records, rungs=rungs)
    # A searcher tells Optuna nothing.
    flight = InFlight(planner, proposals=None, writer=writer, room=Room(slots), progress_of=None)
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


def test_no_more_than_there_are_groups(writer):
    ours, planner = searcher(writer)
    first, second = ours.suggest("tune-a"), ours.suggest("tune-b")
    assert (first["trial"], second["trial"]) == ("t000", "t001")
    assert first["explore"] is True
    assert ours.suggest("tune-c") is None
    assert len(planner.records) == 2
    finish(ours, planner, "tune-a")
    assert ours.suggest("tune-c")["trial"] == "t002"


def test_an_order_comes_whole_and_as_plain_text(writer):
    ours, _ = searcher(writer)
    configuration = ours.suggest("tune-a")
    order, plan = Order.model_validate_json(configuration["order"]), ours.flight.running["tune-a"].plan
    assert order == order_of(plan) == ours.flight.running["tune-a"].order
    assert order.settings == SPACE.settings(plan.record.point)


def test_a_whole_sweep_goes_through_it(writer):
    ours, planner = searcher(writer, slots=3)
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


def test_told_to_stop_it_finishes(writer):
    asked = False
    ours, planner = searcher(writer, lambda: asked)
    ours.suggest("tune-a")
    asked = True
    assert ours.suggest("tune-b") == Searcher.FINISHED
    assert list(planner.records) == ["t000"]


def paused(writer: SweepWriter) -> list[Record]:
    """Three trials that wait at a rung, of which the best may go on."""
    records = []
    for number in range(3):
        record = Record(f"t00{number}", Phase.EXPLORE, Step.SEARCH, None, 0, {}, "tpe", Status.PAUSED, number / 10)
        record.curve[1] = number / 10
        writer.trial({"trial": record.trial, "status": "paused", "phase": "explore", "step": "search"})
        records.append(record)
    return records


def rungs() -> Rungs:
    protocol = SPACE.protocol.model_copy(update={"grace": 1, "reduction_factor": 3, "at_a_rung": "pause"})
    return Rungs(protocol, 4)


def test_a_trial_goes_on_from_a_rung_once_it_is_on_disk_that_it_does(writer, tmp_path):
    ours, _ = searcher(writer, records=paused(writer), rungs=rungs())
    writer.flush()
    writes = threading.Lock()
    with mock.patch.object(writer, "_hand", wraps=writer._hand) as hand:
        write = hand.write

        def waits(*given: object) -> None:
            with writes:
                write(*given)

        hand.write = waits
        with writes:  # a storage that takes its time
            assert ours.suggest("tune-a") is None and ours.suggest("tune-a") is None
            assert {row["status"] for row in to_rows(read_trials(tmp_path))} == {"paused"}
        deadline = time.monotonic() + 20
        while (answer := ours.suggest("tune-a")) is None and time.monotonic() < deadline:
            time.sleep(0.02)
    status = {row["trial"]: row["status"] for row in to_rows(read_trials(tmp_path))}
    assert answer["trial"] == "t002" and status == {"t000": "paused", "t001": "paused", "t002": "running"}
    assert ours.suggest("tune-b")["trial"] == "t003", "one that is new waits for nothing"


def test_while_the_storage_refuses_a_trial_goes_on_all_the_same(writer):
    ours, _ = searcher(writer, records=paused(writer), rungs=rungs())
    writer.flush()

    def refuses(*_: object) -> None:
        raise OSError("full")

    with mock.patch.object(writer, "_hand", wraps=writer._hand) as hand:
        hand.write = refuses
        deadline = time.monotonic() + 20
        while (answer := ours.suggest("tune-a")) is None and time.monotonic() < deadline:
            time.sleep(0.02)
        assert writer.trouble is not None and answer["trial"] == "t002"
