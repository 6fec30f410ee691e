"""What is sent along to a cluster is the package as a wheel has it; on real nodes: tests/nodes/test_shipped.py."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import bissl_ray
from bissl_ray.workers.shipped import packed, py_modules

_USED = """
import bissl_ray
from bissl_ray.config import resource_dir, shipped_spaces
print(bissl_ray.__file__, resource_dir("launch"), len(shipped_spaces()))
"""


def test_what_is_packed_stands_by_itself(tmp_path: Path) -> None:
    copy = packed(tmp_path)
    assert copy == tmp_path / "bissl_ray" and not [*copy.rglob("__pycache__")]
    own = Path(bissl_ray.__file__).parent
    assert {file.relative_to(copy) for file in copy.rglob("*.py")} == {
        file.relative_to(own) for file in own.rglob("*.py")
    }
    paths = {"PYTHONPATH": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run([sys.executable, "-c", _USED], cwd="/", env=paths, capture_output=True, text=True)
    package, launch, spaces = done.stdout.split()
    assert Path(package).parent == copy and Path(launch).parent == copy / "_resources" and int(spaces) > 10, done


def test_what_is_packed_again_is_as_it_was(tmp_path: Path) -> None:
    """Made again with the same content it has the same name on the cluster, and is not uploaded a second time."""
    from ray._private.runtime_env.packaging import get_uri_for_directory

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    names = [get_uri_for_directory(str(packed(tmp_path / each)), include_gitignore=True) for each in "ab"]
    assert names[0] == names[1]


def test_what_a_submitted_job_has_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    with py_modules() as alone:
        assert [Path(each).name for each in alone] == ["bissl_ray"]
    job = {"runtime_env": {"py_modules": ["gcs://_ray_pkg_0123.zip"]}, "metadata": {}}
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps(job))
    with py_modules() as both:
        assert len(both) == 2 and both[1] == "gcs://_ray_pkg_0123.zip"
    assert not Path(both[0]).exists()
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps({"runtime_env": None, "metadata": {}}))
    with py_modules() as plain:
        assert len(plain) == 1
