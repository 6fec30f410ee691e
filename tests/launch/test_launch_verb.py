"""`bissl-ray launch` lists the recipes and prints one, from anywhere."""

import subprocess
import sys
from pathlib import Path

import pytest

from bissl_ray.cli.launch import launch
from bissl_ray.config.space_files import resource_dir
from bissl_ray.errors import BadInputError


def test_lists_every_recipe_and_for_whom(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    launch()
    listed = capsys.readouterr().out
    for path in resource_dir("launch").iterdir():
        assert path.name in listed
    assert "Slurm: a sweep inside one allocation" in listed


def test_prints_a_recipe_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    launch("slurm.sbatch")
    assert capsys.readouterr().out == (resource_dir("launch") / "slurm.sbatch").read_text()


def test_an_unknown_recipe_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadInputError, match=r"no recipe 'slurm'; did you mean 'slurm.sbatch'"):
        launch("slurm")
    with pytest.raises(BadInputError, match=r"there are: .*one_machine.sh"):
        launch("../pyproject.toml")


def test_imports_neither_torch_nor_ray() -> None:
    code = "import sys, bissl_ray.cli.launch as l; l.launch(); print({'torch', 'ray'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
