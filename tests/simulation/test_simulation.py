"""Sweeps whose processes, machines and storages fail in the order that a seed chooses (issue 18.6)."""

from collections.abc import Iterator

import pytest

from tests.simulation.planted import PLANTED
from tests.simulation.quick_rows import quick_rows
from tests.simulation.schedule import Schedule

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
FAULTS = {
    "lock-that-two-hold": 60,
    "reports-that-overwrite-each-other": 10,
    "what-was-heard-is-forgotten": 150,
    "forecast-of-none": 60,
}
"""Of `PLANTED`, with how many schedules at most may be needed to find them; the others take longer."""


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with quick_rows():
        yield


@pytest.mark.parametrize("first", range(0, 150, 50))
def test_no_work_is_lost_doubled_or_changed_whatever_fails(first: int) -> None:
    # `make simulate` runs as many as are asked for.
    for seed in range(first, first + 50):
        Schedule(seed).run()


def test_a_seed_makes_the_same_happen_again() -> None:
    logs = []
    for _ in range(2):
        schedule = Schedule(6)
        schedule.run()
        logs.append([line for line in schedule.world.log if "process" not in line])
    assert logs[0] == logs[1] and logs[0]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_is_put_back_is_found(fault: str) -> None:
    with PLANTED[fault](), pytest.raises(Exception) as found:
        for seed in range(FAULTS[fault]):
            Schedule(seed).run()
    assert "driver" in str(found.value) or "report" in str(found.value)
