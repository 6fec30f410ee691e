"""One process per sweep, or per stage."""

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from bissl_ray.errors import BadInputError
from bissl_ray.store.lock import locked


def hold(folder: Path, sweep: str) -> AbstractContextManager[None]:
    return locked(str(folder), f"sweeps/{sweep}", f"sweep {sweep}")


def lock_file(folder: Path) -> Path:
    return folder / "sweeps/night/lock.json"


def write(folder: Path, **changes: object) -> None:
    held = {"token": "x", "host": socket.gethostname(), "pid": os.getpid(), "renewed_at": time.time(), **changes}
    lock_file(folder).parent.mkdir(parents=True, exist_ok=True)
    lock_file(folder).write_text(json.dumps(held))


def test_a_sweep_is_held_and_given_back(tmp_path: Path) -> None:
    with hold(tmp_path, "night"):
        with pytest.raises(BadInputError, match="sweep night is being run by process"), hold(tmp_path, "night"):
            pass
        with hold(tmp_path, "day"):
            pass
    assert not lock_file(tmp_path).exists()
    with hold(tmp_path, "night"):
        pass


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    write(tmp_path, pid=gone.pid)
    with hold(tmp_path, "night"):
        assert json.loads(lock_file(tmp_path).read_text())["pid"] == os.getpid()


def test_another_machine_holds_it_while_it_renews(tmp_path: Path) -> None:
    write(tmp_path, host="elsewhere")
    with pytest.raises(BadInputError, match="elsewhere"), hold(tmp_path, "night"):
        pass
    write(tmp_path, host="elsewhere", renewed_at=time.time() - 60)
    with hold(tmp_path, "night"):
        pass


@pytest.mark.parametrize("content", ["", "{}", "[1]", "not json"])
def test_a_damaged_lock_holds_nothing(tmp_path: Path, content: str) -> None:
    write(tmp_path)
    lock_file(tmp_path).write_text(content)
    with hold(tmp_path, "night"):
        assert json.loads(lock_file(tmp_path).read_text())["pid"] == os.getpid()
