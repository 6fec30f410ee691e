"""How sweeps stand by who holds them and what is left, without Optuna; how long they take yet."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from bissl_ray.catalog.remaining import at_a_time, seconds_left
from bissl_ray.catalog.standing import State, comparison_state, sweep_standing
from bissl_ray.config.data_choice import DataChoice
from bissl_ray.config.documents import SweepDocument
from bissl_ray.config.requests import SweepRequest
from bissl_ray.search.records import Record
from tests.search.small_space import space, store_rows
from tests.search.whole_sweep import WholeSweep

OWN = space()
SIZES = {"pretext": 900, "train": 100, "validation": 300, "test": 597, "classes": 10}
DOCUMENT = SweepDocument(request=SweepRequest(name="night", data=DataChoice(dataset="digits"), space=OWN), data=SIZES)
NOW = datetime(2026, 1, 1, 1, tzinfo=UTC)


def rows_of(records: list[Record]) -> list[dict]:
    """Rows of which each that has ended took a minute, one after another."""
    rows, _ = store_rows(records, OWN)
    for number, row in enumerate(rows):
        row["started_at"] = NOW + timedelta(minutes=number)
        ended = row["status"] == "complete"
        row |= {"seconds": 60.0 if ended else 15.0, "updated_at": NOW + timedelta(minutes=number + 1)}
        row["ended_at"] = row["updated_at"] if ended else None
    return rows


@pytest.fixture(scope="module")
def sweep() -> WholeSweep:
    return WholeSweep(OWN).run()


def test_states(sweep: WholeSweep) -> None:
    whole, begun, between = list(sweep.records.values()), sweep.snapshots[6], sweep.snapshots[7]
    assert begun[-1].status == "running" and between[-1].status == "complete"
    for records, held, state in (
        (whole, False, State.FINISHED),
        (whole, True, State.RUNNING),
        (begun, False, State.INTERRUPTED),
        (between, False, State.PAUSED),
        ([], False, State.INTERRUPTED),
    ):
        assert sweep_standing("nowhere", DOCUMENT, store_rows(records, OWN)[0], held).state == state
    found = sweep_standing("nowhere", DOCUMENT, store_rows(between, OWN)[0], False)
    assert (found.done, found.asked) == (4, len(whole))


def test_a_comparison_stands_as_its_sweeps_do() -> None:
    done, cut = State.FINISHED, State.INTERRUPTED
    assert comparison_state([done, done]) == done
    assert comparison_state([done, None]) == State.PAUSED  # a case has not begun
    assert comparison_state([done, cut, None]) == cut
    assert comparison_state([cut, State.RUNNING]) == State.RUNNING


def test_time_left_is_that_of_the_runs_to_come(sweep: WholeSweep) -> None:
    """Six explore trials have taken a minute each; of the control's six tuning runs, three have."""
    records = sweep.snapshots[17]
    assert [record.step for record in records[-3:]] == ["tuning"] * 3 and records[-1].ended
    rows = rows_of(records)
    standing = sweep_standing("nowhere", DOCUMENT, rows, False)
    left = seconds_left(DOCUMENT, standing, rows, [], 1, NOW)
    assert left is not None and left > 3 * 60  # the control's other three alone
    assert seconds_left(DOCUMENT, standing, rows, [], 3, NOW) < left
    whole = list(sweep.records.values())
    finished = sweep_standing("nowhere", DOCUMENT, rows_of(whole), False)
    assert seconds_left(DOCUMENT, finished, rows_of(whole), [], 1, NOW) is None
    nothing = sweep_standing("nowhere", DOCUMENT, [], False)
    assert seconds_left(DOCUMENT, nothing, [], [], 1, NOW) is None


def test_how_many_have_run_at_a_time(sweep: WholeSweep) -> None:
    rows = rows_of(list(sweep.records.values()))
    assert at_a_time(rows) == 1 and at_a_time([]) == 1
    for row in rows:
        row["ended_at"] += timedelta(seconds=70)  # each is still there when the second after it begins
    assert at_a_time(rows) == 3


@pytest.mark.slow
def test_who_only_looks_does_without_optuna() -> None:
    script = "import bissl_ray.catalog.status, sys\nassert not {'optuna', 'torch', 'ray'} & {*sys.modules}, sys.modules"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-300:]
