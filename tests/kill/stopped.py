"""A driver stands still for a minute while another machine takes its sweep: `python -m tests.kill.stopped`, as root.

The other machine is a process in namespaces of its own, with another host's name: it can't see the driver's process,
and waits until its claim has not been renewed for as long as a lease really is (tests/store/test_lock.py shortens it).
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from typing import Final

from bissl_ray.store import read_trials, to_rows
from tests.cli.command import checkpoint, environment, start, tiny_space
from tests.sweep.mid_sweep import FEW, wait_for_reports

_STILL_S: Final = 60.0
_APART: Final = 'hostname elsewhere && exec "$@"'


def results(storage: Path) -> dict[str, str]:
    """Every results file, by what it holds."""
    return {
        str(path.relative_to(storage)): sha256(path.read_bytes()).hexdigest() for path in storage.rglob("*.parquet")
    }


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Stop it, have it taken, wake it up; the exit code is 1 where it then wrote anything, or a trial is not over."""
    with tempfile.TemporaryDirectory(prefix="stopped-") as name:
        folder = Path(name)
        storage = folder / "runs"
        space = tiny_space(folder, protocol=FEW, fixed={"alternations": 12})
        asked = ("--pretrained", checkpoint(folder), "--space", space, "--name", "night", "--storage", storage)
        driver = start("sweep", *asked, cwd=folder)
        try:
            wait_for_reports(storage, driver, lambda rows: len(rows) >= 4)
            os.kill(driver.pid, signal.SIGSTOP)
            stopped = time.monotonic()
            resume = [sys.executable, "-m", "bissl_ray", "resume", "night", "--storage", str(storage)]
            taker = subprocess.run(
                ["unshare", "--uts", "--pid", "--fork", "--mount-proc", "sh", "-c", _APART, "sh", *resume],
                cwd=folder,
                env=environment(),
                capture_output=True,
                text=True,
                timeout=600,
                check=False,
            )
            took = time.monotonic() - stopped
            _say(f"taken, and run to its end after {took:.0f} s: code {taker.returncode} {taker.stderr[-300:]}")
            time.sleep(max(0.0, _STILL_S - took))
            before = results(storage)
            os.kill(driver.pid, signal.SIGCONT)
            said = "".join(driver.communicate(timeout=120))
            _say(f"woken after {time.monotonic() - stopped:.0f} s: code {driver.returncode}\n{said[-400:].strip()}")
            rows = to_rows(read_trials(storage))
            over = all(row["status"] in ("complete", "pruned") for row in rows)
            _say(f"{len(rows)} trials, all of them over: {over}; results as they were: {results(storage) == before}")
            well = taker.returncode == 0 and driver.returncode == 1 and over and results(storage) == before
            return 0 if well else 1
        finally:
            driver.kill()


if __name__ == "__main__":
    sys.exit(main())
