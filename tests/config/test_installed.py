"""Shipped spaces are found from an installed wheel as from the checkout, and nothing heavy is imported."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import bissl_ray

PACKAGE = Path(bissl_ray.__file__).parent


def run(code: str, cwd: Path, python_path: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(python_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_wheel_layout_carries_its_own_spaces(tmp_path: Path) -> None:
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    installed = site / "bissl_ray"
    installed.mkdir(parents=True)
    for module in ("__init__.py", "addresses.py", "errors.py", "plugins.py"):
        shutil.copy(PACKAGE / module, installed)
    shutil.copytree(PACKAGE / "config", installed / "config")
    shutil.copytree(PACKAGE.parent / "search_spaces", installed / "_resources" / "search_spaces")
    code = (
        "from bissl_ray.config import load_search_space, resource_dir\n"
        "print(resource_dir('search_spaces'))\n"
        "print(load_search_space('cars').sources['parameters.damping'])\n"
    )
    folder, source = run(code, elsewhere, site).splitlines()
    assert Path(folder) == installed / "_resources" / "search_spaces"
    assert source == "search_spaces/base.yaml"
    folder, source = run(code, elsewhere, PACKAGE.parent).splitlines()
    assert Path(folder) == PACKAGE.parent / "search_spaces"
    assert source == "search_spaces/base.yaml"


def test_loading_a_space_imports_neither_torch_nor_ray_nor_optuna(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "import bissl_ray.cli.spaces\n"
        "print('pydantic' in sys.modules)\n"
        "from bissl_ray.config import load_search_space\n"
        "load_search_space('digits')\n"
        "print(sorted({'torch', 'ray', 'optuna', 'rich'} & set(sys.modules)))\n"
    )
    assert run(code, tmp_path, PACKAGE.parent) == "False\n[]"
