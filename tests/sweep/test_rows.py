"""What is written of trials that the simulation needs long to come by."""

from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from bissl_ray.config.setting_rules import parameter_types
from bissl_ray.search.plans import Plan
from bissl_ray.search.records import Record
from bissl_ray.store import SweepWriter, read_reports, read_trials, to_rows
from bissl_ray.sweep.parts import _progress_of
from bissl_ray.sweep.room import Room
from bissl_ray.sweep.rows import Rows
from bissl_ray.sweep.searcher import InFlight, Running
from bissl_ray.words import Phase, Status, Step
from bissl_ray.world import World, inside
from tests.sweep.test_searcher import order_of


class Heard:
    """Takes what Optuna is told."""

    def report(self, *_: Any) -> None:
        """Nothing is made of it."""

    def tell(self, *_: Any) -> None:
        """Nor of that."""


def rows_of(writer: SweepWriter, storage: Path) -> Rows:
    return Rows(InFlight(None, None, writer, Room(1), partial(_progress_of, str(storage), "night")))


def test_who_ends_at_a_rung_has_come_as_far_as_it_has_told(tmp_path: Path) -> None:
    """The driver before was killed between the report of its second alternation and the row that follows it."""
    first = {"trial": "t000", "status": "paused", "phase": "explore", "step": "search"}
    with SweepWriter(tmp_path, "digits", "night", {}) as writer:
        writer.trial({**first, "alternations": 1, "objective": 0.1, "seconds": 1.0})
        record = Record("t000", Phase.EXPLORE, Step.SEARCH, None, 0, {}, "tpe", objective=0.2, seconds=2.0)
        record.curve.update({1: 0.1, 2: 0.2})
        rows_of(writer, tmp_path).ended_at_a_rung(record, "ASHA: not among the best at alternation 2")
    (row,) = to_rows(read_trials(tmp_path))
    assert (row["status"], row["alternations"], row["objective"], row["seconds"]) == ("pruned", 2, 0.2, 2.0)


def test_the_row_of_a_trial_that_repeats_what_it_had_told_does_not_go_back(tmp_path: Path) -> None:
    """The driver before had heard the third alternation, and the trial goes on from its checkpoint of the first."""
    first = {"trial": "t000", "status": "running", "phase": "explore", "step": "search"}
    with SweepWriter(tmp_path, "digits", "night", {}) as writer:
        writer.trial({**first, "alternations": 3, "objective": 0.3, "seconds": 3.0})
        record = Record("t000", Phase.EXPLORE, Step.SEARCH, None, 0, {}, "tpe", objective=0.3, seconds=3.0)
        record.curve.update({1: 0.1, 2: 0.2, 3: 0.3})
        flight = InFlight(None, Heard(), writer, Room(1), partial(_progress_of, str(tmp_path), "night"))
        rows, found = Rows(flight), []
        for alternation in (2, 3, 4):
            told = {"stage": "bissl", "alternation": alternation, "objective": alternation / 10}
            so_far = {"alternations": alternation, "seconds": float(alternation)}
            rows.reported(record, {**told, "so_far": so_far})
            writer.flush()
            (row,) = to_rows(read_trials(tmp_path))
            found.append((row["alternations"], row["objective"], record.objective))
    assert found == [(3, 0.3, 0.3), (3, 0.3, 0.3), (4, 0.4, 0.4)]
    assert sorted(row["alternation"] for row in to_rows(read_reports(tmp_path))) == [2, 3, 4]


def test_a_successor_is_younger_than_its_forerunner_whatever_the_machines_clocks(tmp_path: Path) -> None:
    """Who takes a sweep may have a clock that is behind; trials are replayed in the order in which they began."""
    types = parameter_types()

    def begin_and_end(writer: SweepWriter, trial: str) -> None:
        record = Record(trial, Phase.EXPLORE, Step.SEARCH, None, 0, {}, "pbt:t000", objective=0.5)
        plan = Plan(record, ("bissl",), None)
        flight = InFlight(None, Heard(), writer, Room(1), partial(_progress_of, str(tmp_path), "night"))
        rows = Rows(flight)
        rows.began(Running(plan, order_of(plan)))
        rows.ended(record, Status.PRUNED, "behind", {})

    with SweepWriter(tmp_path, "digits", "night", types) as writer:
        begin_and_end(writer, "t002")
        now = writer.stamp()

    class Behind(World):
        def now(self) -> datetime:
            return now - timedelta(hours=2)

    with inside(Behind()), SweepWriter(tmp_path, "digits", "night", types) as writer:
        begin_and_end(writer, "t002-1")
    older, younger = sorted(to_rows(read_trials(tmp_path)), key=lambda row: str(row["trial"]))
    assert (older["trial"], younger["trial"]) == ("t002", "t002-1")
    assert older["started_at"] < older["ended_at"] < younger["started_at"] < younger["ended_at"]
