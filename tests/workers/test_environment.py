"""What Ray reads from the environment: ours where the user has said nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bissl_ray.errors import BadInputError
from bissl_ray.workers import environment
from bissl_ray.workers.environment import modules_of_this_process, prepare, worker_environment


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    for name in [name for name in os.environ if name.startswith(("RAY_", "TUNE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(os, "environ", dict(os.environ))


def test_what_the_user_has_set_stays():
    os.environ["RAY_USAGE_STATS_ENABLED"] = "1"
    prepare(None)
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "1"
    assert os.environ["TUNE_DISABLE_SIGINT_HANDLER"] == "1"


def test_usage_statistics_are_off_and_a_local_cluster_wants_a_token():
    prepare(None)
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert os.environ["RAY_AUTH_MODE"] == "token"


def test_another_cluster_that_cannot_be_joined_is_refused():
    with pytest.raises(BadInputError, match=r"nothing answers at 127.0.0.1:1 "):
        prepare("127.0.0.1:1")
    assert "RAY_AUTH_MODE" not in os.environ and "RAY_AUTH_TOKEN" not in os.environ


def test_workers_get_the_same_and_no_token():
    os.environ["RAY_AUTH_TOKEN"] = "secret"
    prepare(None)
    passed_on = worker_environment()
    assert passed_on["RAY_USAGE_STATS_ENABLED"] == "0"
    assert all("AUTH" not in name for name in passed_on)


def test_workers_of_any_cluster_know_the_plugins():
    os.environ["BISSL_RAY_PLUGINS"] = "my_package.my_task"
    assert worker_environment()["BISSL_RAY_PLUGINS"] == "my_package.my_task"


@pytest.mark.slow
def test_it_imports_no_ray():
    code = f"import sys, {environment.__name__}; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_ray_starts_where_nothing_of_another_path_lies(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", str(tmp_path))])
    os.environ["PYTHONPATH"] = f"lib{os.pathsep}/abs"
    with modules_of_this_process():
        assert str(Path.cwd()) == "/" and os.environ["PYTHONPATH"] == f"{tmp_path}/lib{os.pathsep}/abs"
    assert str(Path.cwd()) == str(tmp_path)


def test_what_this_process_imports_from_its_folder_its_workers_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with modules_of_this_process():
        assert str(Path.cwd()) == str(tmp_path)


def test_a_user_that_the_system_does_not_know_gets_a_home_and_a_name(monkeypatch):
    for name in ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME"):
        os.environ.pop(name, None)
    prepare(None)
    assert "HOME" not in os.environ, "the system knows this one"

    def unknown(_: int) -> None:
        raise KeyError("uid")

    monkeypatch.setattr("pwd.getpwuid", unknown)
    prepare(None)
    assert os.environ["HOME"] == "/nonexistent" and os.environ["USER"] == str(os.getuid())
