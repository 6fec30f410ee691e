"""Two workers of this machine where much is against them: one start of Ray for all of it."""

from pathlib import Path

import pytest

from tests.cli.command import run, tiny_space

pytestmark = pytest.mark.ray

ROOT = str(Path(__file__).parents[2])
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy", "HTTP_PROXY", "HTTPS_PROXY")


def test_long_folders_proxies_no_home_and_modules_that_lie_about(tmp_path: Path) -> None:
    temporary, here = tmp_path / ("x" * 150), tmp_path / "naïve folder"
    temporary.mkdir()
    here.mkdir()
    space = tiny_space(here, fixed={"loader_processes": 1})
    for name in ("ray", "torch", "bissl_ray", "socket"):
        (here / f"{name}.py").write_text("raise SystemExit(f'taken from {__file__}')\n")
    done = run(
        *("pretrain", "--space", space, "--name", "pre", "--storage", "ergebnisse ü", "--workers", "2"),
        cwd=here,
        TMPDIR=str(temporary),
        HOME="/nonexistent",
        PYTHONPATH=ROOT,
        PYTHONSAFEPATH="1",
        **dict.fromkeys(PROXIES, "http://127.0.0.1:1"),
    )
    assert done.code == 0, done
    assert (here / "ergebnisse ü/stages/pre/pretrained.pt").exists()
    assert not Path("/nonexistent").exists()
    assert not list(temporary.glob("ray*")) and not list(temporary.glob("pymp*"))
