"""A sweep of two workers per trial where much is against it: one Ray's start for all of it."""

from pathlib import Path

import pytest

from bissl_ray.store import read_trials, to_rows
from tests.cli.command import checkpoint, run, tiny_space

pytestmark = pytest.mark.ray

ROOT = str(Path(__file__).parents[2])
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy", "HTTP_PROXY", "HTTPS_PROXY")


def test_long_folders_proxies_no_home_and_modules_that_lie_about(tmp_path: Path) -> None:
    temporary, here = tmp_path / ("x" * 150), tmp_path / "naïve folder"
    temporary.mkdir()
    here.mkdir()
    plan = {"trials": 2, "finalists": 1, "finetune_runs": 1, "startup_trials": 1}
    space, start = tiny_space(here, protocol=plan, fixed={"loader_processes": 1}), checkpoint(here)
    for name in ("ray", "torch", "bissl_ray", "socket"):
        (here / f"{name}.py").write_text("raise SystemExit(f'taken from {__file__}')\n")
    done = run(
        *("sweep", "--space", space, "--pretrained", start, "--name", "s", "--storage", "ergebnisse ü"),
        *("--workers-per-trial", "2"),
        cwd=here,
        TMPDIR=str(temporary),
        HOME="/nonexistent",
        PYTHONPATH=ROOT,
        PYTHONSAFEPATH="1",
        **dict.fromkeys(PROXIES, "http://127.0.0.1:1"),
    )
    assert done.code == 0, done
    rows = to_rows(read_trials(here / "ergebnisse ü"))
    assert {row["status"] for row in rows} <= {"complete", "pruned"} and {row["workers"] for row in rows} == {2}
    assert not Path("/nonexistent").exists()
    assert not list(temporary.glob("ray*")) and not list(temporary.glob("pymp*"))
