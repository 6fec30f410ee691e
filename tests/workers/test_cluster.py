"""A Ray that does not start, and one that is gone: one line, a log, nothing left running, and an end."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.command import Done, checkpoint, environment, run, tiny_space
from tests.process_tree import below, still_run

pytestmark = pytest.mark.ray

BAD_START = str(Path(__file__).with_name("bad_start"))
CONNECTED = """
import os, signal, sys, time
from bissl_ray.workers import environment
environment.prepare(None)
from bissl_ray.workers.cluster import connected
from bissl_ray.workers.interrupt import interruptible
from bissl_ray.workers.watch import watched
handler = signal.getsignal(signal.SIGTERM)
with connected(None, several=False, say=print) as cluster, interruptible() as interrupt:
    print("connected to", cluster.where)
    import ray
    from ray._private.worker import _global_node
    # None is of this one's group, which a terminal that closes ends as a whole.
    started = [each.process.pid for every in _global_node.all_processes.values() for each in every]
    assert all(os.getpgid(pid) != os.getpgid(0) for pid in started)
    if len(sys.argv) > 1:
        with watched("sweep night", "resume night", interrupt):
            os.kill(_global_node.all_processes[sys.argv[1]][0].process.pid, signal.SIGKILL)
            until = time.monotonic() + 30
            while not interrupt() and time.monotonic() < until:
                time.sleep(0.1)
            print("asked to stop:", interrupt.reason)
            while sys.argv[2:]:  # as if it waited for Ray
                signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
                time.sleep(1)
assert signal.getsignal(signal.SIGTERM) == handler
print("left")
"""

CONNECTED_FOR_LONG = """
import time
from bissl_ray.workers import environment
environment.prepare(None)
from bissl_ray.workers.cluster import connected
print("connecting", flush=True)
with connected(None, several=True):
    print("connected", flush=True)
    time.sleep(600)
"""


def processes(mark: str) -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"BISSL_TEST={mark}".encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def connect(folder: Path, *arguments: str, **extra: str) -> Done:
    """Connect in a process of its own; nothing that it started is left."""
    mark = f"connect-{os.getpid()}-{time.monotonic_ns()}"
    (folder / "tmp").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", CONNECTED, *arguments],
        cwd=folder,
        env=environment(BISSL_TEST=mark, TMPDIR=str(folder / "tmp"), **extra),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert processes(mark) == []
    return Done(done.returncode, done.stdout, done.stderr)


def bad_starts(times: int) -> dict[str, str]:
    path = os.pathsep.join([BAD_START, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {"BAD_STARTS": str(times), "PYTHONPATH": path}


def test_a_start_that_fails_is_tried_once_more(tmp_path: Path) -> None:
    done = connect(tmp_path, **bad_starts(1))
    assert done.code == 0, done
    first, second, third = done.out.splitlines()
    assert first.startswith("Ray did not start (BlockingIOError: ") and first.endswith("): once more")
    assert (second, third) == ("connected to this machine", "left")


def test_one_that_fails_twice_ends_in_a_line_with_nothing_written(tmp_path: Path) -> None:
    space, ssl = tiny_space(tmp_path), checkpoint(tmp_path)
    done = run("sweep", "--pretrained", ssl, "--space", space, "--name", "n", cwd=tmp_path, **bad_starts(9))
    assert done.code == 1 and "Traceback" not in done.out + done.err
    (line,) = done.err.splitlines()
    assert line.startswith("bissl-ray: Ray did not start on this machine in 2 tries (BlockingIOError: ")
    assert "nothing of it is left running; more in " in line
    log = Path(line.partition("more in ")[2].partition(". ")[0])
    try:
        assert log.read_text().count("Traceback") == 2 and "gcs_server" in log.read_text()
    finally:
        log.unlink()
    assert not (tmp_path / "runs").exists()


def test_a_cluster_that_is_gone_asks_to_stop(tmp_path: Path) -> None:
    done = connect(tmp_path, "raylet")
    assert done.code == 0 and done.out.splitlines()[-1] == "left", done
    asked = next(line for line in done.out.splitlines() if line.startswith("asked to stop: "))
    assert "has ended unexpectedly, with signal SIGKILL; more in tmp/bissl-ray-" in asked


def test_a_job_that_can_not_stop_is_ended(tmp_path: Path) -> None:
    done = connect(tmp_path, "gcs_server", "hangs")
    assert done.code == 1, done
    last = done.err.splitlines()[-1]
    assert last.startswith("bissl-ray: sweep night stopped: the cluster's controller (GCS) has ended unexpectedly")
    assert last.endswith(". What was reported is saved; go on with resume night")


@pytest.mark.parametrize("so_far", ["connecting", "connected"])
def test_nothing_outlives_a_driver_that_is_killed(tmp_path: Path, so_far: str) -> None:
    started = dict[int, str]()
    with subprocess.Popen(
        [sys.executable, "-c", CONNECTED_FOR_LONG],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as driver:
        assert driver.stdout is not None
        while driver.stdout.readline().strip() != so_far:
            assert driver.poll() is None
        until = time.monotonic() + 60
        # The last that Ray starts, which would stay for a minute: they tell a controller that is gone of their raylet.
        while not any(command.startswith("ray::RuntimeEnvAgent") for command in started.values()):
            assert driver.poll() is None and time.monotonic() < until, started
            started = below(driver.pid)
            time.sleep(0.05)
        driver.kill()
    assert still_run(started, 20) == [], started
