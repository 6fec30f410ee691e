"""A cluster of three nodes that loses one in mid-sweep, and one that gains one; the rest is `python -m tests.nodes`."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import environment

pytestmark = pytest.mark.ray
ROOT = Path(__file__).parents[2]

THREE_NODES = """
import sys
from pathlib import Path
from tests.nodes import cases
folder = Path(sys.argv[1])
expected = cases.undisturbed(folder / "one", 2, 2)
print(cases.lost(folder / "three", "worker", ("pretraining", "explore"), expected))
"""


def test_three_nodes_lose_workers_and_find_what_one_finds(tmp_path: Path) -> None:
    """In a process of its own: a cluster's nodes belong to the process that starts them."""
    done = subprocess.run(
        [sys.executable, "-c", THREE_NODES, str(tmp_path)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    lost = done.stdout.splitlines()[-1]
    assert "a worker of pretrain was lost: it goes on, attempt 2 of 3" in lost
    assert "a worker of t00" in lost
