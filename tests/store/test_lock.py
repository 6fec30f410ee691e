"""One process per sweep, or per stage: whoever else wants it, stands still, or has a clock of its own."""

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from bissl_ray.errors import BadInputError, RunFailedError
from bissl_ray.store import SweepWriter, fence, lock, read_trials
from bissl_ray.store.fence import Holders
from bissl_ray.store.lock import Held, check_free, locked
from bissl_ray.world import world

HOLDER = """
import sys, time
from bissl_ray.store.fence import Holders
from bissl_ray.store.lock import locked
with locked(sys.argv[1], "sweeps/night", "sweep night"):
    print("in", flush=True)
    time.sleep(600)
"""


def hold(folder: Path, sweep: str) -> AbstractContextManager[Held]:
    return locked(str(folder), f"sweeps/{sweep}", f"sweep {sweep}")


def claims(folder: Path) -> list[Path]:
    return sorted((folder / "sweeps/night").glob("lock-*.json"))


def claim(folder: Path, name: str = "aa", **changes: object) -> Path:
    """Write another's claim."""
    path = folder / f"sweeps/night/lock-{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"host": "elsewhere", "where": "elsewhere", "pid": 7, "renewed_at": time.time(), **changes}
    path.write_text(json.dumps(content))
    return path


def _holders(folder: Path) -> list[int]:
    """Processes with a claim that is good, by their number."""
    good = [path for path in claims(folder) if not path.with_name(f"{path.name}.void").exists()]
    return [json.loads(path.read_text())["pid"] for path in good]


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "LEASE_S", 1.0)
    monkeypatch.setattr(lock, "_BEAT_S", 0.1)
    monkeypatch.setattr(lock, "_LOOK_S", 0.02)


def test_a_sweep_is_held_and_given_back(tmp_path: Path) -> None:
    with hold(tmp_path, "night"):
        with pytest.raises(BadInputError, match="sweep night is being run by process"), hold(tmp_path, "night"):
            pass
        assert len(claims(tmp_path)) == 1  # who was refused has left none
        with hold(tmp_path, "day"):
            pass
    assert not claims(tmp_path)
    with hold(tmp_path, "night"):
        pass


def _race(start: Barrier, folder: Path, races: int, racer: int) -> None:
    """Of each of so many sweeps, begun at once by all racers: hold it for a moment, or be refused."""
    for race in range(races):
        start.wait(timeout=60)
        with suppress(BadInputError), hold(folder / str(race), "night"):
            begin = time.monotonic()
            time.sleep(0.05)
            (folder / f"{race}-{racer}").write_text(f"{begin} {time.monotonic()}")


@pytest.mark.slow
def test_of_eight_processes_that_begin_at_once_one_holds_it_in_a_hundred_races(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(8)
    racers = [context.Process(target=_race, args=(start, tmp_path, 100, racer)) for racer in range(8)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert [racer.exitcode for racer in racers] == [0] * 8
    for race in range(100):
        spans = sorted([*map(float, held.read_text().split())] for held in tmp_path.glob(f"{race}-*"))
        assert spans, "somebody must get it"
        assert all(before[1] <= after[0] for before, after in pairwise(spans)), spans


def test_threads_race_many_times(tmp_path: Path, _short: None) -> None:
    # In one process all are alive, so that nobody is ever taken for dead.
    inside, most, got = [0], [0], [0]
    guard = threading.Lock()

    def contend(start: threading.Barrier, folder: Path) -> None:
        start.wait()
        try:
            with hold(folder, "night"):
                with guard:
                    inside[0] += 1
                    got[0] += 1
                    most[0] = max(most[0], inside[0])
                time.sleep(0.01)
                with guard:
                    inside[0] -= 1
        except BadInputError:
            pass

    for race in range(25):
        start = threading.Barrier(8)
        threads = [threading.Thread(target=contend, args=(start, tmp_path / str(race))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert most[0] == 1 and got[0] >= 25


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, cwd=Path.cwd())
    assert holder.stdout is not None and holder.stdout.readline() == b"in\n"
    holder.kill()
    holder.wait()
    assert len(claims(tmp_path)) == 1
    with hold(tmp_path, "night"):
        pass


def test_a_process_that_stands_still_holds_it(tmp_path: Path, _short: None) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, cwd=Path.cwd())
    try:
        assert holder.stdout is not None and holder.stdout.readline() == b"in\n"
        holder.send_signal(signal.SIGSTOP)
        time.sleep(1.5)  # longer than the lease
        with pytest.raises(BadInputError, match=f"process {holder.pid}"), hold(tmp_path, "night"):
            pass
    finally:
        holder.kill()
        holder.wait()


def test_a_number_that_another_process_has_now_holds_nothing(tmp_path: Path) -> None:
    claim(tmp_path, host=socket.gethostname(), where=world().process().where, pid=os.getpid(), started=1)
    with hold(tmp_path, "night"):
        assert _holders(tmp_path) == [os.getpid()]


@pytest.mark.parametrize("clock", [-3600.0, 0.0, 3600.0], ids=["behind", "level", "ahead"])
def test_another_machine_holds_it_while_it_renews_whatever_its_clock(
    tmp_path: Path, clock: float, _short: None
) -> None:
    over = threading.Event()

    def renew() -> None:
        beat = 0
        while not over.wait(0.2):
            beat += 1
            whole = claim(tmp_path, "bb", beat=beat, renewed_at=time.time() + clock)
            whole.replace(tmp_path / "sweeps/night/lock-aa.json")

    claim(tmp_path, renewed_at=time.time() + clock)
    thread = threading.Thread(target=renew)
    thread.start()
    try:
        with pytest.raises(BadInputError, match="process 7 on elsewhere"):
            check_free(str(tmp_path), "sweeps/night", "sweep night")
    finally:
        over.set()
        thread.join()
    for left in claims(tmp_path):
        assert left.name in ("lock-aa.json", "lock-bb.json")
    # It has fallen silent.
    with hold(tmp_path, "night"):
        assert (tmp_path / "sweeps/night/lock-aa.json.void").exists()


def test_who_wakes_up_after_another_machine_took_it_writes_no_row(tmp_path: Path, _short: None) -> None:
    losses: list[str] = []
    with locked(str(tmp_path), "sweeps/night", "sweep night", losses.append) as held:
        held.check()
        (mine,) = claims(tmp_path)
        lock._bury(*_on_disk(mine))  # as another machine does when it has seen no renewal for so long
        with pytest.raises(RunFailedError, match="nothing more is written"):
            held.check()
        deadline = time.monotonic() + 10
        while not losses and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(losses) == 1
        # The claim that comes back by a renewal under way is void all the same.
        held._renew()
        with hold(tmp_path, "night"):
            pass
        writer = SweepWriter(tmp_path, "digits", "night", {}, held.files)
        writer.trial({"trial": "t000", "status": "running", "phase": "explore", "step": "search"})
        with pytest.raises(RunFailedError):
            writer.close()
    assert read_trials(tmp_path).num_rows == 0


def test_what_was_begun_before_the_sweep_was_taken_does_not_get_to_its_place(tmp_path: Path) -> None:
    filesystem, _ = lock.open_storage(str(tmp_path))
    kept, late, folder = str(tmp_path / "kept"), str(tmp_path / "late"), str(tmp_path / "sweeps/night/lock-aa")
    # It has looked already, and seen that it holds the sweep: so it always does here.
    files = Holders(filesystem, folder, lambda: None)
    files.write(kept, b"rows")
    lock._bury(filesystem, f"{folder}.json")
    with pytest.raises(FileNotFoundError):
        files.write(late, b"rows")
    files.remove(kept)
    assert not Path(late).exists() and Path(kept).read_bytes() == b"rows"
    assert [path.name for path in Path(folder).parent.iterdir()] == ["lock-aa.json.void"]


@pytest.mark.parametrize("ahead", [0.0, 3600.0])
def test_on_an_object_store_who_takes_a_sweep_outranks_what_comes_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _short: None, ahead: float
) -> None:
    monkeypatch.setattr(lock, "moves", lambda filesystem: False)
    monkeypatch.setattr(fence, "moves", lambda filesystem: False)
    row = {"trial": "t000", "phase": "explore", "step": "search"}
    # Another machine, by whose clock it may be an hour later, has renewed its claim for the last time a moment ago.
    theirs = datetime.now(UTC) + timedelta(seconds=ahead)
    claim(tmp_path, renewed_at=theirs.timestamp())
    with hold(tmp_path, "night") as held, SweepWriter(tmp_path, "digits", "night", {}, held.files) as writer:
        writer.trial({**row, "status": "complete"})
        writer.flush()
        # What it was about to write when it stood still, half a minute after that.
        late = SweepWriter(tmp_path, "digits", "night", {})
        late._last_stamp = theirs + timedelta(seconds=30)
        late.trial({**row, "status": "running"})
        late.close()
    assert read_trials(tmp_path)["status"].to_pylist() == ["complete"]


def _on_disk(path: Path) -> tuple[lock.FileSystem, str]:
    return lock.open_storage(str(path))


@pytest.mark.parametrize("content", ["", "{}", "[1]", "not json", '{"host": 1, "pid": "x"}', '{"pid": 1e400}'])
@pytest.mark.parametrize("name", ["lock-aa.json", "lock.json"])
def test_a_damaged_lock_holds_nothing(tmp_path: Path, content: str, name: str) -> None:
    path = tmp_path / "sweeps/night" / name
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with hold(tmp_path, "night"):
        assert _holders(tmp_path) == [os.getpid()]


def test_a_process_of_a_release_before_holds_it(tmp_path: Path) -> None:
    folder = tmp_path / "sweeps/night"
    folder.mkdir(parents=True)
    held = {"host": socket.gethostname(), "pid": os.getpid(), "renewed_at": time.time(), "version": 1}
    (folder / "lock.json").write_text(json.dumps(held))
    with pytest.raises(BadInputError, match=f"process {os.getpid()}"), hold(tmp_path, "night"):
        pass
    (folder / "lock.json").write_text(json.dumps({**held, "pid": 2**22 + 1}))
    with hold(tmp_path, "night"):
        assert not (folder / "lock.json").exists()
