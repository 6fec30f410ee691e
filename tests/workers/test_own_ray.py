"""A Ray of our own: where it keeps its sockets, who may talk to it, and what of this machine it can't do without."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bissl_ray.data import sockets
from bissl_ray.errors import BadInputError
from bissl_ray.workers.own_ray import (
    check_this_machine,
    object_store,
    off_the_proxies,
    own_token,
    ray_folder,
)

LONGEST_SESSION = "session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store.99"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder for temporary files, and no other variable that names one."""
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def deep(folder: Path) -> Path:
    made = folder / ("x" * 150)
    made.mkdir()
    return made


def test_a_short_folder_is_rays_own_choice(monkeypatch, place):
    monkeypatch.setenv("RAY_TMPDIR", "/tmp")
    with ray_folder() as folder:
        assert folder == "/tmp/ray"


@pytest.mark.parametrize("variable", ["TMPDIR", "RAY_TMPDIR"])
def test_a_long_one_is_replaced_by_a_private_one_that_goes(monkeypatch, place, variable):
    monkeypatch.setenv(variable, str(deep(place)))
    with ray_folder() as folder:
        assert len(f"{folder}/{LONGEST_SESSION}") <= 107
        assert Path(folder).stat().st_mode & 0o777 == 0o700
        (Path(folder) / "session").mkdir()
    assert not Path(folder).exists()


def test_where_there_is_no_short_folder_it_is_said(monkeypatch, place):
    monkeypatch.setattr(sockets, "_SHORT_PLACES", (str(deep(place)),))
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/nonexistent")
    monkeypatch.setenv("TMPDIR", str(place / ("x" * 150)))
    with pytest.raises(BadInputError, match=r"^no folder for sockets can be written to .*/nonexistent.*: set TMPDIR"):
        ray_folder().__enter__()


@pytest.mark.parametrize("variable", ["TMPDIR", "RAY_TMPDIR"])
@pytest.mark.parametrize(("given", "found"), [("/nonexistent", "is no folder"), (__file__, "is no folder")])
def test_a_folder_that_is_none_is_refused(monkeypatch, place, variable, given, found):
    check_this_machine()
    monkeypatch.setenv(variable, given)
    with pytest.raises(BadInputError, match=rf"^{variable} is '{given}', which {found}; expected"):
        check_this_machine()


def test_a_folder_for_reading_only_is_refused(monkeypatch, place):
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(BadInputError, match=r"which can't be written to; expected a folder for temporary files"):
        check_this_machine()


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["sweep", "sweep --dry-run", "pretrain", "leaderboard"])
def test_a_current_folder_that_is_gone_is_refused(tmp_path, verb):
    code = "import os, sys; os.chdir(sys.argv[1]); os.rmdir(sys.argv[1]); del sys.argv[1]; "
    code += "from bissl_ray.cli.main import main; main()"
    gone = tmp_path / "gone"
    gone.mkdir()
    command = [sys.executable, "-c", code, gone, *verb.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.startswith("bissl-ray: the current folder has been removed")


@pytest.mark.parametrize(
    ("given", "kept"), [({}, None), ({"RAY_AUTH_TOKEN": ""}, None), ({"RAY_AUTH_TOKEN": "mine"}, "mine")]
)
def test_its_token_is_in_no_file(given, kept):
    first, second = dict(given), dict(given)
    own_token(first)
    own_token(second)
    assert len(first["RAY_AUTH_TOKEN"]) == 64 if kept is None else first["RAY_AUTH_TOKEN"] == kept
    assert (first == second) == (kept is not None)


LOOPBACK = "127.0.0.1,localhost,::1"


@pytest.mark.parametrize(
    ("given", "after"),
    [
        ({}, None),
        ({"NO_PROXY": "intra"}, "intra"),
        ({"http_proxy": "http://proxy:3128"}, LOOPBACK),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "intra, localhost"}, "intra,localhost,127.0.0.1,::1"),
        ({"grpc_proxy": "http://proxy:3128", "no_proxy": "a", "NO_PROXY": "b"}, f"a,b,{LOOPBACK}"),
    ],
)
def test_what_stays_on_this_machine_goes_through_no_proxy(given, after):
    environ = dict(given)
    off_the_proxies(environ)
    assert environ.get("NO_PROXY") == after
    assert environ.get("no_proxy") == (after if any("proxy:" in value for value in given.values()) else None)
    assert {name: environ[name] for name in given if not name.lower().startswith("no")} == {
        name: value for name, value in given.items() if not name.lower().startswith("no")
    }


@pytest.mark.slow
def test_as_many_files_as_the_system_allows():
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 1024)); "
        "from bissl_ray.workers.own_ray import room_for_files; room_for_files(); "
        "print(*resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1024", "1024"]


@pytest.mark.parametrize(("free", "elsewhere"), [(64 * 2**20, True), (2**34, False)])
def test_a_small_shared_memory_is_left_to_the_batches(monkeypatch, tmp_path, free, elsewhere):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": free}))
    store = object_store(str(tmp_path))
    assert store["object_store_memory"] == 2**27
    assert store.get("_plasma_directory") == (str(tmp_path) if elsewhere else None)
