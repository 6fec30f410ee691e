import os
import random
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bissl_ray.store import DamagedFileWarning, SweepWriter, read_reports, read_trials, to_rows
from bissl_ray.store.fence import Anyones
from bissl_ray.store.filesystem import open_storage
from bissl_ray.store.parquet import decode
from bissl_ray.store.paths import StoredFile
from bissl_ray.store.reader import compact
from bissl_ray.world import World, inside
from tests.cli.command import run_here

ROWS = 300


def files(storage, kind="trials"):
    return sorted(storage.rglob(f"{kind}-*.parquet"))


def test_rows_outlive_a_killed_process(storage):
    program = textwrap.dedent(f"""
        import sys, time
        from bissl_ray.store import SweepWriter
        writer = SweepWriter({str(storage)!r}, "cars", "first", {{"upper_lr": float}})
        writer.trial(dict(trial="a", status="running", phase="explore", step="search", param_upper_lr=0.1))
        for alternation in range({ROWS}):
            writer.report(dict(trial="a", stage="bissl", alternation=alternation, objective=0.5))
        time.sleep(600)
    """)
    child = subprocess.Popen([sys.executable, "-c", program])
    # Nobody asks it to write them; how soon it does depends on who else is at work here.
    until = time.monotonic() + 120
    while read_reports(storage).num_rows < ROWS and time.monotonic() < until:
        time.sleep(0.1)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert read_trials(storage)["param_upper_lr"].to_pylist() == [0.1]
    assert read_reports(storage)["alternation"].to_pylist() == list(range(ROWS))


@pytest.mark.slow
def test_readers_never_fail_nor_miss_a_row_while_a_writer_compacts(storage, start, open_writer):
    written, stop, troubles = [0], threading.Event(), []

    def read():
        seen = 0
        while not stop.is_set():
            surely = written[0]
            try:
                seen = read_reports(storage).num_rows
            except Exception as error:
                troubles.append(error)
                return
            if seen < surely:
                troubles.append(AssertionError(f"{seen} rows read after {surely} had been written"))

    readers = [threading.Thread(target=read) for _ in range(2)]
    with open_writer() as writer:
        for reader in readers:
            reader.start()
        for alternation in range(70):
            writer.report({"trial": "a", "stage": "bissl", "alternation": alternation})
            writer.flush()
            written[0] = alternation + 1
            assert len(files(storage, "reports")) <= 33
        stop.set()
        for reader in readers:
            reader.join()
    assert troubles == []
    assert len(files(storage, "reports")) == 1


def test_merging_says_how_many_small_files_are_left(storage, start, open_writer):
    filesystem, base = open_storage(str(storage))
    with open_writer() as writer:
        for alternation in range(3):
            writer.report({"trial": "a", "stage": "bissl", "alternation": alternation})
            writer.flush()
        assert (
            compact(filesystem, Anyones(filesystem), base, "reports", "cars", "first")
            == len(files(storage, "reports"))
            == 1
        )
        assert compact(filesystem, Anyones(filesystem), base, "reports", "cars", "first") == 1


def test_closing_leaves_one_row_per_trial_in_one_file(storage, start, open_writer):
    with open_writer() as writer:
        for status in ("running", "running", "complete"):
            writer.trial(start("a") | {"status": status})
            writer.flush()
    assert len(files(storage)) == 1
    assert pq.ParquetFile(files(storage)[0]).read()["status"].to_pylist() == ["complete"]


def test_a_crash_between_merging_and_deleting_doubles_nothing(storage, start, open_writer):
    with open_writer() as writer:
        for index in range(5):
            writer.trial(start(f"t{index}"))
            writer.report({"trial": f"t{index}", "stage": "bissl", "alternation": 1})
            writer.flush()
        sources = {path: path.read_bytes() for path in files(storage) + files(storage, "reports")}
        assert len(sources) == 10
    for path, data in sources.items():  # the merged file is there, and its sources are back
        path.write_bytes(data)
    assert len(files(storage)) == 6
    assert read_trials(storage)["trial"].to_pylist() == [f"t{index}" for index in range(5)]
    assert read_reports(storage).num_rows == 5


def test_a_damaged_file_is_named_and_skipped_and_survives_compaction(storage, start, open_writer):
    with open_writer("good") as writer:
        writer.trial(start("a"))
    with open_writer("bad") as writer:
        writer.trial(start("b"))
    damaged = next(path for path in files(storage) if "sweep=bad" in str(path))
    damaged.write_bytes(damaged.read_bytes()[:-20])
    (damaged.parent / "trials-0-empty.parquet").touch()
    (damaged.parent / ".trials-1.parquet.tmp").write_bytes(b"left by a killed write")
    with pytest.warns(DamagedFileWarning) as seen:
        assert read_trials(storage)["trial"].to_pylist() == ["a"]
    assert len(seen) == 2 and any(str(damaged) in str(warning.message) for warning in seen)
    with pytest.warns(DamagedFileWarning), open_writer("bad") as writer:
        writer.trial(start("c"))
        writer.flush()
        writer.trial(start("d"))
    assert damaged.exists()


@pytest.fixture
def whole(storage, start, open_writer) -> Callable[[str], tuple[StoredFile, bytes]]:
    """A file of a kind, and its content."""
    with open_writer() as writer:
        for number in range(3):
            trial = f"t00{number}"
            writer.trial(start(trial, status="complete", objective=0.5 + number / 7, param_upper_lr=0.1 * number))
            for alternation in (1, 2, 3):
                report = {"trial": trial, "stage": "bissl", "alternation": alternation, "objective": alternation / 7}
                writer.report(report | {"reported_at": datetime(2026, 1, 1, tzinfo=UTC)})

    def of_kind(kind):
        (path,) = files(storage, kind)
        content = path.read_bytes()
        return StoredFile(str(path), "cars", "first", len(content), kind), content

    return of_kind


def flips(content: bytes, step: int = 1):
    """The content with one bit flipped, of every byte or of every so manyth."""
    for at in range(0, len(content), step):
        yield content[:at] + bytes([content[at] ^ (1 << (at * 5 % 8))]) + content[at + 1 :]


def cuts(content: bytes):
    return (content[:at] for at in range(len(content)))


@pytest.mark.parametrize("kind", ["trials", "reports"])
def test_of_a_file_every_byte_flipped_and_cut_at_every_byte_nothing_is_read(storage, whole, kind, monkeypatch, capsys):
    stored, content = whole(kind)
    damaged = [*flips(content), *cuts(content)]
    assert len(damaged) == 2 * len(content)
    for each in damaged:
        with pytest.raises(OSError, match="by the checksum in its name"):
            decode(stored, pa.py_buffer(each))
    read, path = {"trials": read_trials, "reports": read_reports}[kind], Path(stored.path)
    for each in random.Random(0).sample(damaged, 5):
        path.write_bytes(each)
        with pytest.warns(DamagedFileWarning, match=path.name):
            assert read(storage).num_rows == 0
    shown = run_here(monkeypatch, capsys, "show", "t001", "--storage", storage)
    assert path.name in shown.err and shown.code == {"trials": 2, "reports": 1}[kind]
    path.write_bytes(content)
    assert read(storage).num_rows == {"trials": 3, "reports": 9}[kind]


@pytest.mark.parametrize("kind", ["trials", "reports"])
def test_of_a_file_of_a_release_before_every_cut_is_refused_and_most_flips(whole, kind):
    stored, content = whole(kind)
    stored = stored._replace(path=f"{kind}-00000000000000000001-7-0123456789ab.parquet")
    for each in cuts(content):
        with pytest.raises((OSError, pa.ArrowException)):
            decode(stored, pa.py_buffer(each))
    written, outcomes = to_rows(decode(stored, pa.py_buffer(content))), Counter()
    for each in flips(content, 23):
        try:
            outcomes[to_rows(decode(stored, pa.py_buffer(each))) == written] += 1
        except (OSError, pa.ArrowException):
            outcomes["refused"] += 1
    # Without a checksum a figure that has become another one is not caught: of one byte in twenty or so.
    assert outcomes["refused"] > outcomes[True] > 4 * outcomes[False] > 0, outcomes


def test_a_file_of_a_release_before_has_no_checksum_and_is_read(storage, start, open_writer):
    with open_writer() as writer:
        writer.trial(start("a"))
    (path,) = files(storage)
    path.rename(path.with_name("trials-00000000000000000001-7-0123456789ab.parquet"))
    assert read_trials(storage)["trial"].to_pylist() == ["a"]


def test_verbs_name_the_damaged_file_and_end_with_code_1(storage, start, open_writer, monkeypatch, capsys):
    for name in ("good", "bad"):
        with open_writer(name) as writer:
            writer.trial(start(f"of-{name}"))
    damaged = next(path for path in files(storage) if "sweep=bad" in str(path))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    board = run_here(monkeypatch, capsys, "leaderboard", "--storage", storage, "--format", "csv")
    assert board.code == 1 and damaged.name in board.err and "of-good" in board.out
    shown = run_here(monkeypatch, capsys, "show", "of-good", "--storage", storage)
    assert shown.code == 1 and damaged.name in shown.err and "of-good" in shown.out
    lost = run_here(monkeypatch, capsys, "show", "of-bad", "--storage", storage)
    assert lost.code == 2 and "of-bad" in lost.err and damaged.name in lost.err and lost.err.count("\n") == 1
    nothing = run_here(monkeypatch, capsys, "export", "--sweep", "bad", "--storage", storage)
    assert nothing.code == 2 and damaged.name in nothing.err and nothing.err.count("\n") == 1


def test_a_full_disk_stops_nothing_and_the_rows_come_when_there_is_room(storage, start, open_writer):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    writer = open_writer()
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))  # every write of a file fails from here
        writer.trial(start("a"))
        with pytest.raises(OSError, match=r"too large|[Nn]o space"):
            writer.flush()
        writer.trial({"trial": "a", "status": "complete"})  # does not raise: it may pass
        assert writer.trouble is not None and "wait in memory" in writer.trouble
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    writer.close()
    assert writer.trouble is None
    assert read_trials(storage)["status"].to_pylist() == ["complete"]
    assert [path.name for path in storage.rglob(".*")] == []


def test_what_follows_a_row_is_done_when_the_row_is_on_disk(storage, start, open_writer):
    before, seen = resource.getrlimit(resource.RLIMIT_FSIZE), []

    def follow():
        seen.append(read_trials(storage)["status"].to_pylist())
        raise OSError("a storage that refuses")

    writer = open_writer()
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))
        writer.trial(start("a") | {"status": "complete"}, then=follow)
        with pytest.raises(OSError, match=r"too large|[Nn]o space"):
            writer.flush()
        assert not seen
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    writer.close()
    assert seen == [["complete"]]


def test_closing_says_what_is_lost_when_there_is_no_room_in_the_end(storage, start, open_writer):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    writer = open_writer()
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))
        writer.trial(start("a"))
        with pytest.raises(OSError, match=r"1 rows of sweep first wait in memory.*lost with this process"):
            writer.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with pytest.raises(ValueError, match="closed"):
        writer.trial(start("b"))


@pytest.mark.slow
def test_two_writers_in_two_processes_do_not_disturb_each_other(storage):
    program = textwrap.dedent(f"""
        import sys
        from bissl_ray.store import SweepWriter
        with SweepWriter({str(storage)!r}, "cars", "first", {{}}) as writer:
            for index in range(40):
                row = dict(status="complete", phase="explore", step="search")
                writer.trial(row | dict(trial=f"{{sys.argv[1]}}-{{index}}"))
                writer.flush()
    """)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    children = [
        subprocess.Popen([sys.executable, "-c", program, name], env=environment, stderr=subprocess.PIPE)
        for name in ("p", "q")
    ]
    for child in children:
        _, errors = child.communicate(timeout=60)
        assert child.returncode == 0, errors.decode()
    trials = read_trials(storage)["trial"].to_pylist()
    assert len(trials) == 80 and set(trials) == {f"{name}-{index}" for name in "pq" for index in range(40)}


def test_the_clock_going_back_between_two_processes_loses_no_update(storage, start, open_writer):
    with open_writer() as writer:
        writer.trial(start("a"))
        writer.report({"trial": "a", "stage": "bissl", "alternation": 1, "objective": 0.1})
    later = read_trials(storage)["updated_at"][0].as_py()

    class Yesterday(World):
        def now(self):
            return later - timedelta(days=1)

    with inside(Yesterday()), SweepWriter(storage, "cars", "first", {}) as writer:
        writer.trial({"trial": "a", "status": "complete"})
        writer.report({"trial": "a", "stage": "bissl", "alternation": 1, "objective": 0.2})
    assert read_trials(storage)["status"].to_pylist() == ["complete"]
    assert read_reports(storage)["objective"].to_pylist() == [0.2]


def test_the_thread_writes_without_being_asked(storage, start, open_writer):
    writer = open_writer()
    writer.trial(start("a"))
    deadline = time.monotonic() + 20
    while read_trials(storage).num_rows == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert read_trials(storage).num_rows == 1
    writer.close()
    writer.close()
