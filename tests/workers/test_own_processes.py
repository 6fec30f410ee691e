"""What a cluster of our own has started is known and ended, whoever's child it has become."""

import subprocess
import sys
import time
from pathlib import Path

from bissl_ray.workers.own_processes import Started, last_words

ORPHAN = """
import subprocess, sys
print(subprocess.Popen(["sleep", "1000"], start_new_session=True, stdout=subprocess.DEVNULL).pid)
"""


def test_what_was_started_is_ended_and_nothing_else() -> None:
    started, other = Started(), subprocess.Popen(["sleep", "1000"])
    try:
        with started.starting():
            child = subprocess.Popen(["sleep", "1000"])
            orphan = int(subprocess.check_output([sys.executable, "-c", ORPHAN]))
        later = subprocess.Popen(["sleep", "1000"])
        assert set(started.processes()) == {child.pid, orphan}
        started.end(grace=0)
        assert child.wait(timeout=10) == -9
        deadline = time.monotonic() + 10
        while started.processes() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert started.processes() == [] and other.poll() is None and later.poll() is None
    finally:
        for process in (other, child, later):
            process.kill()
            process.wait()


def test_last_words_are_the_ends_of_the_daemons_logs(tmp_path: Path) -> None:
    (tmp_path / "raylet.err").write_text("".join(f"line {n}\n" for n in range(100)))
    (tmp_path / "gcs_server.out").write_text("")
    said = last_words(tmp_path).splitlines()
    assert said[0] == "--- raylet.err" and said[-1] == "line 99" and len(said) == 21
