"""The pictures of docs/cluster.md: `bissl-ray doctor` on three nodes, and on the same with two that are sick.

`python -m tests.nodes.pictures` draws them anew, as root: what is sick lies in mount namespaces.
"""

import json
import os
import sys
import tempfile
from io import StringIO
from pathlib import Path

from bissl_ray.cli.doctor_view import show_check, summary_of
from bissl_ray.preflight.machines.checks import Check, Verdict
from tests.cli.command import run
from tests.nodes.cluster import Nodes, nodes

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pictures"


def draw(name: str, cluster: Nodes, storage: Path, *flags: str) -> None:
    """Run it, and draw what a terminal of 100 columns would show."""
    from rich.console import Console

    ray = {name: value for name, value in os.environ.items() if name.startswith("RAY_")}
    there = ("--address", cluster.address, "--storage", storage, "--format", "json")
    done = run("doctor", *there, *flags, cwd=storage.parent, **ray)
    # Of no machine in particular.
    text = done.out.replace(str(storage), "/shared/runs").replace(str(ROOT), "/opt/bissl-ray")
    told = [Check(**{**row, "verdict": Verdict(row["verdict"])}) for row in json.loads(text)["machines"]]
    console = Console(record=True, width=100, file=StringIO(), force_terminal=True)
    for check in told:
        show_check(console, check)
    console.print(f"\n{summary_of(told)}", highlight=False)
    command = " ".join(["bissl-ray doctor", "--address HOST:PORT", "--storage /shared/runs", *flags])
    console.save_svg(str(PICTURES / f"{name}.svg"), title=command)


def main() -> None:
    """Draw both."""
    with tempfile.TemporaryDirectory(prefix="lab-") as folder, nodes(1, 1, 1) as cluster:
        storage = Path(folder, "runs")
        draw("doctor-healthy", cluster, storage)
        storage.mkdir()
        cluster.add_apart(storage)
        cluster.add_lacking("optuna", "cmaes")
        draw("doctor-sick", cluster, storage, "--quick")


if __name__ == "__main__":
    sys.exit(main())
