"""Sweeps in an object store: one that loses it in mid-sweep, and one whose driver is killed; and its readers."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from pyarrow.fs import FileSelector

from bissl_ray.preflight.doctor.check import check_storage
from bissl_ray.store import read_trials, to_rows
from tests.cli.command import Done, checkpoint, run, start, tiny_space
from tests.s3.stand_in import BUCKET, StandIn, stand_in
from tests.sweep.mid_sweep import FEW, assert_kept, assert_whole, wait_for_reports

pytestmark = pytest.mark.ray

STORAGE = f"s3://{BUCKET}/runs"
AWAY_S = 8.0


class Stored(NamedTuple):
    """A sweep whose storage had gone away in the middle of it."""

    folder: Path
    seen: list[dict[str, Any]]
    done: Done


@pytest.fixture(scope="module")
def server() -> Iterator[StandIn]:
    with stand_in() as started, pytest.MonkeyPatch.context() as patched:
        for name, value in started.environment.items():
            patched.setenv(name, value)
        yield started


@pytest.fixture(scope="module")
def stored(server: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Stored:
    folder = tmp_path_factory.mktemp("away")
    with begun(folder, "away") as process:
        seen = wait_for_reports(STORAGE, process, lambda rows: len(rows) >= 4)
        server.stop()
        time.sleep(AWAY_S)
        running = process.poll() is None
        server.start()
        out, err = process.communicate(timeout=300)
    assert running, (out, err)
    return Stored(folder, seen, Done(process.returncode, out, err))


@contextmanager
def begun(folder: Path, name: str) -> Iterator["subprocess.Popen[str]"]:
    """A sweep in the object store, until the end of a `with` block."""
    space = tiny_space(folder, protocol=FEW, fixed={"alternations": 12})
    asked = ("--pretrained", checkpoint(folder), "--space", space, "--name", name, "--storage", STORAGE)
    process = start("sweep", *asked, cwd=folder)
    try:
        yield process
    finally:
        process.kill()


def test_a_sweep_waits_for_a_storage_that_is_away(stored: Stored) -> None:
    code, out, err = stored.done.code, stored.done.out, stored.done.err
    assert code == 0 and "Traceback" not in out + err, (out, err)
    assert_kept(stored.seen, STORAGE)
    assert_whole(STORAGE, "away")


def test_nothing_half_done_is_left_in_it(stored: Stored, server: StandIn) -> None:
    files = [file.path for file in server.files().get_file_info(FileSelector(BUCKET, recursive=True))]
    assert not [file for file in files if "progress" in file or "/." in file or "lock-" in file], files
    assert check_storage(STORAGE).findings == []


def test_every_reader_reads_it(stored: Stored) -> None:
    rows = {row["trial"]: row for row in to_rows(read_trials(STORAGE, sweep="away"))}
    board = run("leaderboard", "--storage", STORAGE, "--sweep", "away", "--format", "json", cwd=stored.folder)
    assert board.code == 0, board
    assert {line["trial"] for line in json.loads(board.out)["rows"]} <= rows.keys()
    shown = run("show", "t000", "--sweep", "away", "--storage", STORAGE, cwd=stored.folder)
    assert shown.code == 0 and "known to be good" in shown.out, shown
    out = stored.folder / "winner.pth"
    exported = run("export", "--sweep", "away", "--storage", STORAGE, "--out", out, cwd=stored.folder)
    assert exported.code == 0, exported
    assert all(isinstance(each, torch.Tensor) for each in torch.load(out, weights_only=True).values())
    resumed = run("resume", "away", "--storage", STORAGE, cwd=stored.folder)
    assert (resumed.code, resumed.err) == (0, ""), resumed
    assert {row["trial"]: row for row in to_rows(read_trials(STORAGE, sweep="away"))} == rows


def test_a_driver_that_is_killed_is_resumed_from_it(server: StandIn, tmp_path: Path) -> None:
    with begun(tmp_path, "cut") as process:
        seen = wait_for_reports(STORAGE, process, lambda rows: len([row for row in rows if row["sweep"] == "cut"]) >= 4)
        process.kill()
        process.communicate(timeout=60)
    resumed = run("resume", "cut", "--storage", STORAGE, cwd=tmp_path)
    assert resumed.code == 0 and "Traceback" not in resumed.out + resumed.err, resumed
    assert_kept(seen, STORAGE)
    assert_whole(STORAGE, "cut")
