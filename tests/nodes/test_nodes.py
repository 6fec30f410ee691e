"""A cluster of three nodes that loses one in mid-sweep, and one that gains one; the rest is `python -m tests.nodes`."""

from pathlib import Path

import pytest

from tests.nodes.cluster import by_itself

pytestmark = pytest.mark.ray

THREE_NODES = """
import sys
from pathlib import Path
from tests.nodes import cases
folder = Path(sys.argv[1])
expected = cases.undisturbed(folder / "one", 2, 2)
print(cases.lost(folder / "three", "worker", ("pretraining", "explore"), expected))
"""


def test_three_nodes_lose_workers_and_find_what_one_finds(tmp_path: Path) -> None:
    lost = by_itself(THREE_NODES, tmp_path)
    assert "a worker of pretrain was lost: it goes on, attempt 2 of 3" in lost
    assert "a worker of t00" in lost
