"""Three sweeps at once on a cluster with room for two groups: all end alike, the third waits its turn."""

from pathlib import Path

import pytest

from tests.nodes.cluster import by_itself

pytestmark = pytest.mark.ray

AT_ONCE = """
import sys
from pathlib import Path
from tests.nodes.cluster import nodes
from tests.nodes.faulty import Sweep, space, unlike

folder = Path(sys.argv[1])
space(folder)
with nodes(2) as cluster:
    first, *_ = sweeps = [Sweep(folder, cluster.address, 1, name=name) for name in "abc"]
    for sweep in sweeps:
        sweep.begin()
    for sweep in sweeps:
        assert sweep.end() == 0, sweep.said
for sweep in sweeps:
    lines = [line for _, line in sweep.said]
    assert not unlike(sweep.trials(), first.trials()), (unlike(sweep.trials(), first.trials()), lines)
    sweep.check_reports()
    print(*lines, sep="\\n", end="\\n\\n", file=sys.stderr)
said = [line for sweep in sweeps for _, line in sweep.said]
assert any(line.startswith("shares the cluster with sweep ") for line in said), said
assert any(" waits for room on the cluster, which has none beside sweep " in line for line in said), said
print("done")
"""


def test_sweeps_at_once_share_a_cluster(tmp_path: Path) -> None:
    assert by_itself(AT_ONCE, tmp_path) == "done"
