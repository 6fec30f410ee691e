"""One suite over every kind of storage: a sweep, its end and going on, its board, models out of it and into it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from pyarrow.fs import FileSystem, LocalFileSystem

from bissl_ray.preflight.doctor.check import check_storage
from bissl_ray.store import open_storage, read_trials, to_rows
from tests.cli.command import Done, checkpoint, run, start, tiny_space
from tests.s3.stand_in import BUCKET, stand_in
from tests.sweep.mid_sweep import FEW, assert_kept, assert_whole, wait_for_reports

pytestmark = pytest.mark.ray


@dataclass(frozen=True)
class Place:
    """Somewhere that files are kept.

    Attributes:
        folder: where commands run.
        base: of addresses there.
        files: its file system, whatever the environment says.
        base_path: on that.
    """

    folder: Path
    base: str
    files: FileSystem
    base_path: str

    def at(self, name: str) -> str:
        """The address of a file or folder."""
        return f"{self.base}/{name}"

    def holds(self, name: str) -> bytes:
        """A file's content."""
        with self.files.open_input_stream(f"{self.base_path}/{name}") as stream:
            return bytes(stream.read())


@pytest.fixture(scope="module", params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A local folder; an S3 at an endpoint of its own, which the environment names."""
    folder = tmp_path_factory.mktemp("there")
    if request.param == "folder":
        (folder / "shared" / "out").mkdir(parents=True)
        yield Place(folder, f"{folder}/shared", LocalFileSystem(), f"{folder}/shared")
        return
    with stand_in() as server, pytest.MonkeyPatch.context() as patched:
        for name, value in server.environment.items():
            patched.setenv(name, value)
        yield Place(folder, f"s3://{BUCKET}/shared", server.files(), f"{BUCKET}/shared")


@pytest.fixture(scope="module")
def swept(place: Place) -> Done:
    """A sweep from a checkpoint in the storage, whose driver is killed in the middle of it, and gone on with."""
    with place.files.open_output_stream(f"{place.base_path}/ssl.pth") as stream:
        stream.write(checkpoint(place.folder).read_bytes())
    space = tiny_space(place.folder, protocol=FEW, fixed={"alternations": 12})
    storage = place.at("runs")
    asked = ("--pretrained", place.at("ssl.pth"), "--space", space, "--name", "night", "--storage", storage)
    process = start("sweep", *asked, cwd=place.folder)
    try:
        seen = wait_for_reports(storage, process, lambda rows: len(rows) >= 4)
    finally:
        process.kill()
        process.communicate(timeout=60)
    resumed = run("resume", "night", "--storage", storage, cwd=place.folder)
    assert resumed.code == 0 and not resumed.err, resumed
    assert_kept(seen, storage)
    return resumed


def test_it_is_resumed_to_its_end_and_all_of_it_is_sound(place: Place, swept: Done) -> None:
    assert_whole(place.at("runs"), "night")
    # The claim of the driver that was killed, which `doctor --clean` removes.
    assert {finding.what for finding in check_storage(place.at("runs")).findings} <= {"claim"}
    rows = to_rows(read_trials(place.at("runs"), sweep="night"))
    shown = run("leaderboard", "--storage", place.at("runs"), "--format", "json", cwd=place.folder)
    assert {line["trial"] for line in json.loads(shown.out)["rows"]} <= {row["trial"] for row in rows}


def test_a_model_goes_out_to_it_and_comes_in_again(place: Place, swept: Done) -> None:
    asked = ("export", "--storage", place.at("runs"), "--out", place.at("out/winner.pth"))
    first = run(*asked, cwd=place.folder)
    assert (first.code, first.err) == (0, "") and first.out.startswith(f"{place.at('out/winner.pth')}: smallconv "), (
        first
    )
    (place.folder / "here.pth").write_bytes(place.holds("out/winner.pth"))
    weights = torch.load(place.folder / "here.pth", weights_only=True)
    assert weights and all(isinstance(each, torch.Tensor) for each in weights.values())
    assert 'torch.load("winner.pth"' in place.holds("out/winner.md").decode()
    again = run(*asked, cwd=place.folder)
    assert again.code == 2 and f"{place.at('out/winner.pth')} is there already; give another --out" in again.err, again
    assert run(*asked, "--force", cwd=place.folder).code == 0
    space = run("export", "--config", *asked[1:3], "--out", place.at("out/winner.yaml"), cwd=place.folder)
    assert space.code == 0 and b"dataset: digits" in place.holds("out/winner.yaml"), space
    asked = ("--space", "tiny.yaml", "--name", "next", "--storage", place.at("runs"), "--dry-run")
    taken = run("sweep", "--pretrained", place.at("out/winner.pth"), *asked, cwd=place.folder)
    assert taken.code == 0 and f"smallconv from {place.at('out/winner.pth')}" in taken.out, taken


def test_a_stage_starts_from_a_checkpoint_of_it(place: Place, swept: Done) -> None:
    row = next(each for each in to_rows(read_trials(place.at("runs"), sweep="night")) if each["checkpoint"])
    asked = ("--start", place.at(f"runs/{row['checkpoint']}"), "--storage", place.at("runs"), "--name", "look")
    looked = run("evaluate", *asked, cwd=place.folder)
    assert looked.code == 0, looked
    assert json.loads(place.holds("runs/stages/look/stage.json"))["request"]["name"] == "look"


def test_what_is_not_there_is_a_line(place: Place, swept: Done) -> None:
    asked = ("sweep", "--space", "tiny.yaml", "--name", "lost", "--storage", place.at("runs"))
    lost = run(*asked, "--pretrained", place.at("absent.pth"), cwd=place.folder)
    assert lost.code == 2 and lost.err.count("\n") == 1 and place.at("absent.pth") in lost.err, lost
    other = run("export", "--storage", place.at("runs"), "--out", place.at("out/winner.txt"), cwd=place.folder)
    assert other.code == 2 and "expected a name that ends in .safetensors" in other.err, other
    if "://" in place.base:
        data = run(*asked, "--data-dir", place.at("data"), cwd=place.folder)
        assert data.code == 2 and "found an address, expected a folder; copy the data to where" in data.err, data
    filesystem, base = open_storage(place.at("runs"))
    assert not filesystem.get_file_info(f"{base}/sweeps/lost/sweep.json").is_file
