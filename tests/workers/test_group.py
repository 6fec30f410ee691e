"""A real worker group: an error ends a trial and not the group; a dead worker is replaced and its trial goes on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import environment, tiny_space

pytestmark = pytest.mark.ray


@pytest.mark.parametrize("workers", [1, 2])
def test_a_group_outlives_what_happens_to_its_trials(tmp_path: Path, workers: int) -> None:
    done = subprocess.run(
        [
            sys.executable,
            str(Path(__file__).with_name("run_group.py")),
            str(tmp_path),
            str(tiny_space(tmp_path)),
            str(workers),
        ],
        cwd=tmp_path,
        env=environment(BISSL_TEST=f"group-{os.getpid()}-{workers}"),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["first"]["kind"] == "complete" and told["first"]["reports"] == [1, 2, 3, 4, 5, 6]
    # Train's cleaner looks for "the" Ray of the machine: with another one there it must not find that.
    assert told["named"] == told["connected"]
    assert told["diverging"]["kind"] == "failed" and "loss is" in told["diverging"]["reason"]
    suffering = told["suffering"]
    assert suffering["kind"] == "pruned" and suffering["reports"] == [1, 2]
    assert suffering["reason"].startswith("the linear solves don't converge: 2 alternations in a row")
    assert not told["restarted"], "a trial that ends itself does so in step: its workers go on"
    assert told["absent"]["kind"] == "failed" and "nowhere.pt" in told["absent"]["reason"]
    assert told["again"]["objective"] == told["first"]["objective"], "a failed trial left something behind"
    if workers > 1:
        killed = told["killed"]
        assert killed["kind"] == "complete" and killed["attempts"] == 2, killed
        # It went on from its checkpoint: not from the beginning, and to the same end. How old that is depends on how
        # long writing takes.
        assert killed["reports"][:3] == [1, 2, 3] and killed["saved"] >= 1
        assert killed["reports"][3:] == list(range(killed["saved"] + 1, 7))
        assert killed["objective"] == pytest.approx(told["first"]["objective"])
        assert told["after"]["objective"] == told["first"]["objective"]
