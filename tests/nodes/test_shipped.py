"""Machines whose Python knows nothing of this package run a sweep; one that lacks what it needs is said by name."""

from pathlib import Path

import pytest

from tests.nodes.cluster import by_itself

pytestmark = pytest.mark.ray

WITHOUT_THE_PACKAGE = """
import json, os, sys
from pathlib import Path
from tests.cli.command import checkpoint, run, tiny_space
from tests.nodes.cluster import nodes

folder = Path(sys.argv[1])
few = {"trials": 1, "finalists": 1, "finetune_runs": 1, "seeds": 2, "early_stopping": False}
tiny_space(folder, protocol=few, fixed={"loader_processes": 1})
with nodes(0) as cluster:
    ray = {name: value for name, value in os.environ.items() if name.startswith("RAY_")}
    cluster.add_lacking()
    asked = ("sweep", "--space", "tiny.yaml", "--pretrained", checkpoint(folder), "--address", cluster.address)
    done = run(*asked, "--name", "night", cwd=folder, **ray)
    assert done.code == 0 and not done.err, done
    cluster.add_lacking("optuna", "cmaes")
    refused = run(*asked, "--name", "day", cwd=folder, **ray)
    assert refused.code == 2 and refused.err.count("\\n") == 1, refused
    assert " lacks optuna, cmaes: the same everywhere, as here: Python " in refused.err, refused
    assert not Path(folder, "runs", "sweeps", "day").exists(), "something was left behind"
    checks = ("doctor", "--address", cluster.address, "--only", "machines", "--quick", "--format", "json")
    told = run(*checks, cwd=folder, **ray)
    rows = {row["name"]: row for row in json.loads(told.out)["machines"]}
    assert [name for name, row in rows.items() if row["verdict"] == "failure"] == ["versions"], rows
    assert rows["bissl-ray"]["found"].endswith(" everywhere"), rows
print(done.out)
"""


def test_a_machine_without_the_package_runs_the_drivers(tmp_path: Path) -> None:
    by_itself(WITHOUT_THE_PACKAGE, tmp_path)
