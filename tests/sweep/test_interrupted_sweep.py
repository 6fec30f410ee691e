"""Ctrl-C stops cleanly and resume goes on; a killed driver loses nothing that was reported."""

import contextlib
import os
import pty
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bissl_ray.preflight.doctor.check import check_storage
from bissl_ray.store import read_reports, read_trials, to_rows
from tests.cli.command import checkpoint, environment, run, start, tiny_space
from tests.sweep.mid_sweep import FEW, told, wait_for_reports

pytestmark = pytest.mark.ray

SWEEP = ("sweep", "--pretrained")


def some_trials(reports: list[Any]) -> bool:
    return len({row["trial"] for row in reports}) >= 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_interrupt_and_resume(tmp_path: Path, number: signal.Signals) -> None:
    storage = tmp_path / "runs"
    space = tiny_space(tmp_path, protocol=FEW)
    process = start(*SWEEP, checkpoint(tmp_path), "--space", space, "--name", "cut", cwd=tmp_path)
    wait_for_reports(storage, process, some_trials)
    time.sleep(1.0)  # "what was reported a second before a kill -9 is on disk"
    seen = to_rows(read_reports(storage))
    os.kill(process.pid, number)
    out, err = process.communicate(timeout=60)
    if number == signal.SIGINT:
        assert process.returncode == 130, err
        assert "bissl-ray resume cut" in out and "Traceback" not in err
    interrupted = {row["trial"]: row for row in to_rows(read_trials(storage))}
    kept = {told(row): row for row in to_rows(read_reports(storage))}
    for row in seen:
        assert kept[told(row)]["objective"] == row["objective"]

    resumed = run("resume", "cut", cwd=tmp_path)
    assert resumed.code == 0, resumed
    rows = {row["trial"]: row for row in to_rows(read_trials(storage))}
    assert all(row["status"] in ("complete", "pruned") for row in rows.values())
    assert sum(row["step"] == "search" for row in rows.values()) == FEW["trials"]
    # What had ended stays as it was; what ran goes on under its own name and point.
    for name, before in interrupted.items():
        assert rows[name]["param_lower_lr"] == before["param_lower_lr"]
        if before["status"] != "running":
            assert rows[name]["objective"] == before["objective"]
    assert sum(row["test_metric"] is not None for row in rows.values()) == 4
    assert not check_storage(str(storage)).damaged


def test_a_terminal_that_closes_ends_it_in_order(tmp_path: Path) -> None:
    """All that it runs on the terminal is told, and nothing can be printed any more."""
    storage, mark = tmp_path / "runs", f"closed-{os.getpid()}"
    space = tiny_space(tmp_path, protocol=FEW)
    asked = [*SWEEP, checkpoint(tmp_path), "--space", space, "--name", "closed"]
    driver, terminal = pty.fork()
    if not driver:
        os.chdir(tmp_path)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup the tests' own is ignored, and would be inherited
        command = [sys.executable, "-m", "bissl_ray", *map(str, asked)]
        os.execve(sys.executable, command, environment(BISSL_TEST=mark, TERM="xterm"))
    deadline = time.monotonic() + 120
    while not some_trials(seen := to_rows(read_reports(storage))):
        assert time.monotonic() < deadline and os.waitpid(driver, os.WNOHANG) == (0, 0)
        if select.select([terminal], [], [], 0.1)[0]:
            os.read(terminal, 65536)
    os.close(terminal)
    _, status = os.waitpid(driver, 0)
    assert os.waitstatus_to_exitcode(status) == 130
    assert processes("", mark) == []
    kept = {told(row) for row in to_rows(read_reports(storage))}
    assert {told(row) for row in seen} <= kept
    assert not list(storage.glob("sweeps/closed/lock-*")), "it is given back"
    assert not (storage / "sweeps/closed/ray.log").exists(), "Ray had nothing to say"


def processes(title: str, mark: str) -> list[int]:
    """Processes of this test's own sweep, by their title."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            named = (folder / "cmdline").read_bytes().startswith(title.encode())
            if named and f"BISSL_TEST={mark}".encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
    return found


def busiest(groups: Callable[[], list[int]]) -> int:
    """The group that works: one that waits for a trial has none to lose."""
    for _ in range(100):
        before = {group: ticks(group) for group in groups()}
        time.sleep(0.3)
        worked = {group: ticks(group) - spent for group, spent in before.items()}
        if worked and max(worked.values()) > 0.1 * os.sysconf("SC_CLK_TCK"):
            return max(worked, key=worked.__getitem__)
    raise AssertionError("no group works on a trial")


def ticks(process: int) -> int:
    """Clock ticks that a process has computed for; 0 of one that is gone."""
    with contextlib.suppress(OSError):
        user, system = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
        return int(user) + int(system)
    return 0


def test_a_lost_worker_group_costs_no_trial(tmp_path: Path) -> None:
    storage, mark = tmp_path / "runs", f"lost-{os.getpid()}"
    asked = (*SWEEP, checkpoint(tmp_path), "--space", tiny_space(tmp_path, protocol=FEW), "--name", "lost")
    process = start(*asked, cwd=tmp_path, BISSL_TEST=mark)
    wait_for_reports(storage, process, some_trials)
    second = run("resume", "lost", cwd=tmp_path)
    assert second.code == 2 and f"is being run by process {process.pid}" in second.err
    os.kill(busiest(lambda: processes("ray::TrialRunner.train", mark)), signal.SIGKILL)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, (out, err)
    said = [line for line in out.splitlines() if line.startswith("lost the worker group of ")]
    assert len(said) == 1 and "attempt 2 of 3" in said[0] and "Traceback" not in out + err, (out, err)
    assert "did not complete" not in out + err, (out, err)
    rows = to_rows(read_trials(storage))
    assert {row["status"] for row in rows} <= {"complete", "pruned"}
    assert sum(row["test_metric"] is not None for row in rows) == 4
