from types import SimpleNamespace

import fsspec
import pyarrow as pa
import pytest
from pyarrow.fs import FSSpecHandler, LocalFileSystem, PyFileSystem

from bissl_ray.errors import BadInputError
from bissl_ray.store import atomic_write, check_writable, open_storage, read_trials
from bissl_ray.world import World
from tests.cli.command import run_here


@pytest.mark.parametrize("depth", ["runs", "a/b/runs"])
def test_a_writable_storage_is_left_as_it_was(tmp_path, depth):
    check_writable(tmp_path / depth)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_storage_keeps_what_it_holds(storage):
    storage.mkdir()
    (storage / "mine").write_text("kept")
    check_writable(storage)
    assert [path.name for path in storage.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("storage", "reason"),
    [
        ("/proc/bissl/runs", "No such file or directory|Permission denied"),
        ("/dev/full/runs", "Not a directory"),
        ("nowhere://bucket/runs", "Unrecognized filesystem"),
    ],
)
def test_an_unwritable_storage_is_refused_in_one_line(storage, reason):
    with pytest.raises(BadInputError, match=reason) as caught:
        check_writable(storage)
    assert storage in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(BadInputError, match="File exists"):
        check_writable(tmp_path / "runs")
    assert (tmp_path / "runs").read_text() == "a file"


def test_uris_and_paths_name_the_same_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert open_storage("runs")[1] == open_storage(f"file://{tmp_path}/runs")[1] == f"{tmp_path}/runs"
    assert open_storage("s3://bucket/a/?region=eu-west-1")[1] == "bucket/a"


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "inside").touch()
    with pytest.raises(OSError):
        atomic_write(LocalFileSystem(), f"{tmp_path}/taken", b"new")  # a folder can't be replaced by a file
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_other_file_systems_are_written_aside_too():
    memory = fsspec.filesystem("memory")
    filesystem = PyFileSystem(FSSpecHandler(memory))
    memory.makedirs("/atomic", exist_ok=True)
    atomic_write(filesystem, "/atomic/file", b"whole")
    assert memory.cat("/atomic/file") == b"whole" and len(memory.ls("/atomic")) == 1


def test_a_file_in_the_place_of_the_storage_is_named(tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(BadInputError, match="is a file, a folder was expected"):
        read_trials(tmp_path / "runs")


@pytest.mark.parametrize(
    ("uri", "asked"),
    [
        ("gs://bucket/x", "gs://bucket/x?retry_limit_seconds=20"),
        ("gs://bucket/x?anonymous=true", "gs://bucket/x?anonymous=true&retry_limit_seconds=20"),
        ("gs://bucket/x?retry_limit_seconds=900", "gs://bucket/x?retry_limit_seconds=900"),
        ("s3://bucket/x", "s3://bucket/x"),
    ],
)
def test_google_is_not_asked_for_a_quarter_of_an_hour(monkeypatch, uri, asked):
    seen = []
    monkeypatch.setattr("bissl_ray.world.FileSystem", SimpleNamespace(from_uri=seen.append))
    World().file_system(uri)
    assert seen == [asked]


def test_what_arrow_has_no_other_word_for_is_a_line(tmp_path, monkeypatch, capsys):
    def fail(*_: object) -> None:
        raise pa.ArrowException("Unknown error: Failed to get token from DefaultAzureCredential.\nSee Azure's log")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bissl_ray.leaderboard.read_board", fail)
    done = run_here(monkeypatch, capsys, "leaderboard", "--storage", "abfs://c@a.dfs.core.windows.net/x")
    assert done.code == 1 and done.err.count("\n") == 1, done
    assert "the storage refuses: Unknown error: Failed to get token" in done.err and "credentials" in done.err
