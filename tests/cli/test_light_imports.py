"""What starts often starts quickly: help and the board import neither torch nor Ray, other processes what they need."""

import subprocess
import sys

import pytest

from bissl_ray.data.loader_processes import _PRELOADED

HEAVY = ("torch", "ray", "pandas", "optuna", "plotly", "sklearn", "scipy", "torchvision")


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["sweep", "--help"],
        ["train", "--help"],
        ["compare", "--help"],
        ["report", "--help"],
        ["leaderboard", "--storage", "."],
        ["list", "--storage", "."],
        ["clean", "--storage", "."],
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("modules", "absent", "present"),
    [
        # The actor that holds messages is a process of its own for each run.
        (["bissl_ray.workers.message_line"], "torch", "ray"),
        # While the actor that owns a group starts, its trial may be given to another, and it is thrown away.
        (["bissl_ray.workers.group"], "torch", "ray.tune"),
        # Every process of a job imports this as it starts, Ray's own among them.
        (["bissl_ray.workers.environment"], "torch", "bissl_ray.plugins"),
        # The fork server passes silently over a module that isn't there, and every loader process would import it.
        (_PRELOADED[1:], "ray", "torchvision.transforms.v2"),
    ],
)
def test_processes_import_what_they_need(modules: list[str], absent: str, present: str) -> None:
    script = f"import sys\nfor name in {modules!r}:\n    __import__(name)\n"
    script += f"assert {absent!r} not in sys.modules and {present!r} in sys.modules\n"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
