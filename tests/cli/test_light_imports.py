"""Help and the board come up at once: they import neither torch nor Ray."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "ray", "pandas", "optuna", "sklearn", "scipy", "torchvision")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["sweep", "--help"],
        ["train", "--help"],
        ["compare", "--help"],
        ["leaderboard"],
        ["datasets"],
        ["spaces"],
    ],
)
def test_nothing_heavy_is_imported(arguments: list[str], tmp_path) -> None:
    script = (
        "import sys, runpy\n"
        f"sys.argv = ['bissl-ray', *{arguments!r}]\n"
        "try:\n    runpy.run_module('bissl_ray', run_name='__main__')\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
