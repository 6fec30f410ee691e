"""`bissl-ray doctor` on three nodes, then with one that has another storage, and one without the package."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import environment

pytestmark = pytest.mark.ray
ROOT = Path(__file__).parents[2]

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
        print("SKIP", error)
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
    assert [name for name, row in rows.items() if row["verdict"] == "failure"] == ["bissl-ray", "storage"], rows
    refused = run("sweep", "--address", cluster.address, "--storage", storage, cwd=folder, **ray)
    assert refused.code == 2 and "lacks bissl-ray" in refused.err and refused.err.count("\\n") == 1, refused
    assert not [*storage.iterdir()], "something was left behind"
"""


def test_three_machines_are_well_and_what_can_not_work_is_refused(tmp_path: Path) -> None:
    """In a process of its own: a cluster's nodes belong to the process that starts them."""
    done = subprocess.run(
        [sys.executable, "-c", HEALTHY_AND_SICK, str(tmp_path)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    if "SKIP" in done.stdout:
        pytest.skip(f"no mount namespace: {done.stdout}")
