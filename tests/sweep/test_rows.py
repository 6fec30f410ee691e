"""What is written of trials that the simulation needs long to come by."""

from functools import partial
from pathlib import Path

from bissl_ray.search.records import Record
from bissl_ray.store import SweepWriter, read_trials, to_rows
from bissl_ray.sweep.parts import _progress_of
from bissl_ray.sweep.room import Room
from bissl_ray.sweep.rows import Rows
from bissl_ray.sweep.searcher import InFlight
from bissl_ray.words import Phase, Step


def test_who_ends_at_a_rung_has_come_as_far_as_it_has_told(tmp_path: Path) -> None:
    """The driver before was killed between the report of its second alternation and the row that follows it."""
    first = {"trial": "t000", "status": "paused", "phase": "explore", "step": "search"}
    with SweepWriter(tmp_path, "digits", "night", {}) as writer:
        writer.trial({**first, "alternations": 1, "objective": 0.1, "seconds": 1.0})
        record = Record("t000", Phase.EXPLORE, Step.SEARCH, None, 0, {}, "tpe", objective=0.2, seconds=2.0)
        record.curve.update({1: 0.1, 2: 0.2})
        rows = Rows(InFlight(None, None, writer, Room(1), partial(_progress_of, str(tmp_path), "night")))
        rows.ended_at_a_rung(record, "ASHA: not among the best at alternation 2")
    (row,) = to_rows(read_trials(tmp_path))
    assert (row["status"], row["alternations"], row["objective"], row["seconds"]) == ("pruned", 2, 0.2, 2.0)
