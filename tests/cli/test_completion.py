"""The shell completes sweeps, trials, datasets and spaces by name, quickly and without a word when something is off."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import environment
from tests.cli.test_light_imports import HEAVY
from tests.earlier.storage import unpack_release_0_1


def completed(cwd: Path, line: str, **more: str) -> list[str]:
    """What the shell offers at the end of a line that begins with bissl-ray."""
    words = line.split(" ")
    variables = {"_BISSL_RAY_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    variables |= more
    script = (
        "import sys, atexit\n"
        f"atexit.register(lambda: [sys.stderr.write(n) for n in {HEAVY!r} if n in sys.modules])\n"
        "sys.argv = ['bissl-ray']\nfrom bissl_ray.cli.main import main\nmain()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=cwd,
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("completed")
    unpack_release_0_1(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("bissl-ray resume ", ["cmp-digits-1ep", "cut", "done"]),
        ("bissl-ray resume cut ", ["cmp-digits-1ep", "done"]),
        ("bissl-ray status c", ["cmp", "cmp-digits-1ep", "cut"]),
        ("bissl-ray rm fi", ["fine"]),
        ("bissl-ray leaderboard --sweep d", ["done"]),
        ("bissl-ray show --sweep cut t", ["t000"]),
        ("bissl-ray train --from-trial d", ["done/"]),
        ("bissl-ray diff done/t00", ["done/t000", "done/t000-f0"]),
        ("bissl-ray sweep --dataset car", ["cars"]),
        ("bissl-ray sweep --space digits_s", ["digits_scenes"]),
        ("bissl-ray spaces car", ["cars"]),
        ("bissl-ray datasets check flow", ["flowers"]),
        ("bissl-ray launch slurm", ["slurm.sbatch"]),
        ("bissl-ray resume --storage nowhere ", []),
        ("bissl-ray stat", ["status"]),
    ],
)
def test_names_are_offered(folder: Path, line: str, offered: list[str]) -> None:
    found = completed(folder, line)
    assert found[: len(offered)] == offered if line.startswith("bissl-ray diff") else found == offered


@pytest.mark.slow
def test_the_storage_of_the_line_and_what_is_said_once_are_read(folder: Path, tmp_path: Path) -> None:
    assert completed(tmp_path, f"bissl-ray status --storage {folder}/runs fi") == ["fine"]
    (tmp_path / "bissl-ray.toml").write_text(f'storage = "{folder}/runs"\n')
    said = str(tmp_path / "bissl-ray.toml")
    assert completed(tmp_path, "bissl-ray status fi", BISSL_RAY_CONFIG=said) == ["fine"]
    (tmp_path / "bissl-ray.toml").write_text("storage = [")
    assert completed(tmp_path, "bissl-ray status fi", BISSL_RAY_CONFIG=said) == []


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_what_a_shell_sources(tmp_path: Path, shell: str) -> None:
    shown = " ".join(completed(tmp_path, "bissl-ray ", _BISSL_RAY_COMPLETE=f"source_{shell}"))
    assert f"_BISSL_RAY_COMPLETE=complete_{shell}" in shown and "bissl-ray" in shown
