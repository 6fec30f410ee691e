"""Things are removed whole; cut off anywhere, a removal leaves a storage that opens, and the same line finishes it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pyarrow.fs import FileSystem, LocalFileSystem, SubTreeFileSystem

from bissl_ray.catalog import named, remove
from bissl_ray.catalog.remove import plan_removal, remove_all
from bissl_ray.catalog.stock import Stock
from bissl_ray.catalog.things import read_things
from bissl_ray.errors import BadInputError
from bissl_ray.store.documents import read_sweep_document
from bissl_ray.store.filesystem import delete_if_there
from bissl_ray.store.lock import locked
from bissl_ray.store.paths import sweep_names
from bissl_ray.sweep.run import check_new
from bissl_ray.world import World, inside
from tests.earlier.storage import unpack_release_0_1

SHARED = "pretrained/digits-1d4e233dcd13.pt"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    unpack_release_0_1(tmp_path)
    return tmp_path / "runs"


def rm(runs: Path | str, *names: str) -> list[str]:
    """Remove things; what is kept, and why."""
    stock = Stock(str(runs))
    return [note for plan in remove_all(stock, plan_removal(stock, names)) for note in plan.notes]


def files(runs: Path) -> set[str]:
    return {str(path.relative_to(runs)) for path in runs.rglob("*") if path.is_file()}


def of(runs: Path, name: str) -> set[str]:
    return {file for file in files(runs) if name in file.split("/") or f"sweep={name}" in file.split("/")}


def test_a_sweep_goes_with_all_that_is_its_own_and_what_others_share_stays(runs: Path) -> None:
    before, own = files(runs), of(runs, "done")
    assert any("results/" in file for file in own) and any("checkpoints" in file for file in own)
    assert rm(runs, "done") == [f"{SHARED} stays: sweep cmp-digits-1ep starts from it"]
    assert files(runs) == before - own
    assert not [path for path in runs.rglob("*") if path.is_dir() and not any(path.iterdir())]


def test_the_last_that_starts_from_shared_models_takes_them_along(runs: Path) -> None:
    for path in (runs / "stages").glob("*/stage.json"):
        path.write_text(path.read_text().replace(SHARED, "elsewhere.pt"))
    assert rm(runs, "done") and (runs / SHARED).exists()
    assert rm(runs, "cut") and (runs / SHARED).exists()
    assert rm(runs, "cmp") == [] and not (runs / SHARED).exists()
    assert {file.split("/")[0] for file in files(runs)} == {"stages"}


def test_what_an_unreadable_document_needs_is_not_known_and_stays(runs: Path) -> None:
    (runs / "sweeps/cut/sweep.json").write_text("{")
    (note,) = rm(runs, "cmp", "done")[:1]
    assert note.startswith(f"{SHARED} stays: what it needs is not known: ") and (runs / SHARED).exists()
    rm(runs, "cut")  # itself it goes all the same
    assert not of(runs, "cut")


def test_a_comparison_goes_with_its_sweeps(runs: Path) -> None:
    rm(runs, "cmp")
    assert not of(runs, "cmp-digits-1ep") and not (runs / "comparisons").exists()
    assert sweep_names(runs) == ["cut", "done"]


def test_a_stage_goes(runs: Path) -> None:
    rm(runs, "fine")
    assert not (runs / "stages/fine").exists() and (runs / "stages/pre/stage.json").exists()


def test_rows_without_a_document_go(runs: Path) -> None:
    for path in sorted((runs / "sweeps/done").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    rm(runs, "done")
    assert not of(runs, "done")


def test_what_runs_is_refused_and_nothing_is_removed(runs: Path) -> None:
    before = files(runs)
    with (
        locked(str(runs), "sweeps/done", "sweep done"),
        pytest.raises(BadInputError, match=r"sweep done is being run by process \d+ on "),
    ):
        rm(runs, "cut", "done")
    assert before - files(runs) <= {"sweeps/cut/lock.json"}  # of a process that is gone


class _CutOffError(Exception):
    pass


def after(number: int) -> Callable[[FileSystem, str], None]:
    """Removes so many files, and then no more."""
    left = [number]

    def delete(filesystem: FileSystem, path: str) -> None:
        if not left[0]:
            raise _CutOffError
        left[0] -= 1
        delete_if_there(filesystem, path)

    return delete


@pytest.mark.slow
def test_cut_off_after_any_file_the_storage_opens_and_the_same_command_finishes(tmp_path: Path, monkeypatch) -> None:
    unpack_release_0_1(tmp_path / "0")
    others = files(tmp_path / "0/runs") - of(tmp_path / "0/runs", "done")
    number, done = 0, False
    while not done:
        folder = tmp_path / str(number + 1)
        unpack_release_0_1(folder)
        runs = folder / "runs"
        with monkeypatch.context() as patched:
            for module in (remove, named):
                patched.setattr(module, "delete_if_there", after(number))
            patched.setattr(remove, "_THREADS", 1)
            try:
                rm(runs, "done")
                done = True
            except _CutOffError:
                pass
        assert others <= files(runs)
        if not done:
            things = {thing.name: thing.state for thing in read_things(Stock(str(runs)))}
            assert things["done"] == "half removed" and things["cmp-digits-1ep"] == "finished"
            with pytest.raises(BadInputError, match=r"half removed|no sweep 'done'"):
                read_sweep_document(str(runs), "done")
            with pytest.raises(BadInputError, match=r"half removed|already"):  # its rows would become the new one's
                check_new("done", str(runs))
            rm(runs, "done")
        assert files(runs) == others
        check_new("done", str(runs))
        number += 1
    assert number > 5


class _Elsewhere(World):
    """A world with a file system on which paths are none of this machine's."""

    def __init__(self, folder: Path) -> None:
        self._system = SubTreeFileSystem(str(folder), LocalFileSystem())

    def file_system(self, uri: str) -> tuple[FileSystem, str]:
        return self._system, uri.partition("://")[2]


def test_on_another_file_system(runs: Path) -> None:
    with inside(_Elsewhere(runs.parent)):
        rm("elsewhere://runs", "done")
        assert not of(runs, "done") and not (runs / "sweeps/done").exists()
        assert [thing.name for thing in read_things(Stock("elsewhere://runs"))] == [
            *("cmp-digits-1ep", "cut"),
            *("fine", "pre"),
            "cmp",
        ]
