"""`bissl-ray doctor` on three nodes, then with one that has another storage, and one that is sent the package."""

from pathlib import Path

import pytest

from tests.nodes.cluster import by_itself

pytestmark = pytest.mark.ray

HEALTHY_AND_SICK = """
import json, os, sys
from pathlib import Path
import bissl_ray
from tests.cli.command import run
from tests.nodes.cluster import nodes

folder = Path(sys.argv[1])
storage, apart = folder / "shared" / "runs", []

def verdicts(*flags):
    there = ("--address", cluster.address, "--storage", storage, "--format", "json")
    done = run("doctor", *there, *flags, cwd=folder, **ray)
    assert not done.err, done
    rows = {row["name"]: row for row in json.loads(done.out)["machines"]}
    assert done.code == any(row["verdict"] == "failure" for row in rows.values()), done
    return rows

with nodes(1, 1, 1) as cluster:
    ray = {name: value for name, value in os.environ.items() if name.startswith("RAY_")}
    rows = verdicts()
    assert {row["verdict"] for row in rows.values()} == {"ok"}, rows
    assert "all 3 machines answer" in rows["machines"]["found"], rows
    assert "by gloo between" in rows["between machines"]["found"], rows
    assert "a group of 1 starts in" in rows["a trial"]["found"], rows
    assert not [*folder.iterdir()], "something was left behind"
    storage.mkdir(parents=True)
    try:
        cluster.add_apart(storage.parent)
    except OSError as error:
        print("SKIP", " ".join(str(error).split()))
        sys.exit()
    rows = verdicts("--quick")
    assert [name for name, row in rows.items() if row["verdict"] == "failure"] == ["storage"], rows
    assert "sees another folder there than" in rows["storage"]["found"], rows
    refused = run("sweep", "--address", cluster.address, "--storage", storage, cwd=folder, **ray)
    assert refused.code == 2 and "sees another folder there than" in refused.err, refused
    rehearsed = run("sweep", "--dry-run", "--address", cluster.address, "--storage", storage, cwd=folder, **ray)
    assert rehearsed.code == 2 and rehearsed.err == refused.err, rehearsed
    cluster.add_apart(Path(bissl_ray.__file__).parent)
    rows = verdicts("--quick")
    assert [name for name, row in rows.items() if row["verdict"] == "failure"] == ["storage"], rows
    assert not [*storage.iterdir()], "something was left behind"
"""


def test_three_machines_are_well_and_what_can_not_work_is_refused(tmp_path: Path) -> None:
    said = by_itself(HEALTHY_AND_SICK, tmp_path)
    if said.startswith("SKIP"):
        pytest.skip(f"no mount namespace: {said}")
