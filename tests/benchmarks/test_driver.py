"""`bench driver`: a sweep of trials that take no time, through all of the real stack."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import environment, run

pytestmark = pytest.mark.ray

FORGETTING = """
from bissl_ray.workers import environment
environment.prepare(None)
from bissl_ray.benchmarks.driver import measure_driver
from bissl_ray.sweep import scheduler, together
held, forget = [], scheduler.forget_ended
def noting(tune_controller):
    forget(tune_controller)
    held.append(len(tune_controller._trials))
together.forget_ended, scheduler._MOST_REMEMBERED = noting, 20
measure_driver([50], "random", lambda line: None)
print(max(held), len(held))
"""


def test_a_sweep_without_training_is_driven_and_resumed(tmp_path: Path) -> None:
    done = run("bench", "driver", "--trials", "10,40", "--json", "--save", "figures.json", cwd=tmp_path)
    assert done.code == 0, done
    measured = json.loads(done.out)
    assert measured == json.loads((tmp_path / "figures.json").read_text())
    assert [mark["trials"] >= asked for mark, asked in zip(measured["marks"], (10, 40), strict=True)] == [True, True]
    assert all(mark["rate"] > 0 and mark["memory"] > 0 for mark in measured["marks"])
    assert measured["resume"] > 0 and measured["resumed_memory"] > 0
    assert len(done.err.splitlines()) == 2


def test_tune_lets_go_of_trials_that_are_over() -> None:
    # In a process of its own: Ray reads its environment when it is imported.
    done = subprocess.run(
        [sys.executable, "-c", FORGETTING], capture_output=True, text=True, check=True, timeout=300, env=environment()
    )
    most, times = map(int, done.stdout.split()[-2:])
    assert most == 20 and times > 50
