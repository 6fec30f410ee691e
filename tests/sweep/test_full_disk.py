"""A storage whose disk is full in mid-sweep, for seconds: the sweep waits for room, and nothing is lost."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bissl_ray.preflight.doctor.check import check_storage
from bissl_ray.store import read_reports
from tests.cli.command import checkpoint, start, tiny_space
from tests.sweep.mid_sweep import FEW, assert_kept, assert_whole, wait_for_reports

pytestmark = pytest.mark.ray

FULL_S = 8.0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small disk can't be mounted: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(file: Path) -> None:
    """Write until not a byte has room."""
    with file.open("wb", buffering=0) as stream:
        for size in (65536, 1):
            with suppress(OSError):
                while True:
                    stream.write(bytes(size))
    assert os.statvfs(file).f_bavail == 0


def test_a_sweep_waits_for_room(disk: Path, tmp_path: Path) -> None:
    storage = disk / "runs"
    space = tiny_space(tmp_path, protocol=FEW, fixed={"alternations": 12})
    asked = ("--pretrained", checkpoint(tmp_path), "--space", space, "--name", "full", "--storage", storage)
    process = start("sweep", *asked, cwd=tmp_path)
    try:
        seen = wait_for_reports(storage, process, lambda rows: len(rows) >= 4)
        fill(disk / "filler")
        full = read_reports(storage).num_rows
        time.sleep(FULL_S)
        assert process.poll() is None, process.communicate()
        assert read_reports(storage).num_rows == full, "there was room"
        (disk / "filler").unlink()
        out, err = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 0 and "Traceback" not in out + err, (out, err)
    assert_kept(seen, storage)
    assert_whole(storage, "full")
    assert not [*storage.rglob(".*"), *storage.rglob("progress.pt")]
    assert check_storage(str(storage)).findings == []
