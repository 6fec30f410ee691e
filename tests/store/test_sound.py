"""Files of results that are whole and hold what no results do: named and skipped, as damaged ones are."""

import warnings
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bissl_ray.store import DamagedFileWarning, SweepWriter, read_trials, to_rows
from tests.cli.command import run_here

ROW = {"trial": "t000", "status": "complete", "phase": "explore", "step": "search", "objective": 0.5}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of results, without a checksum in its name: as another program, or a release of before, leaves it."""
    with SweepWriter(tmp_path, "digits", "night", {"lower_lr": float}) as writer:
        writer.trial({**ROW, "param_lower_lr": 0.1})
    (written,) = tmp_path.rglob("trials-*.parquet")
    return written.rename(written.with_name("trials-1.parquet"))


def changed(table: pa.Table, name: str, column: pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, column)


UNSOUND = {
    "twice": (lambda t: t.append_column("status", t["status"]), "the column 'status' twice"),
    "path's": (lambda t: t.append_column("sweep", t["trial"]).append_column("sweep", t["trial"]), "'sweep' twice"),
    "missing": (lambda t: t.drop_columns(["trial"]), "column 'trial' is missing"),
    "null": (lambda t: changed(t, "status", pa.nulls(1, pa.string())), "column 'status' is missing, or lacks values"),
    "text": (lambda t: changed(t, "objective", pa.array(["x"])), "column 'objective' holds string, expected double"),
    "lists": (lambda t: changed(t, "seed", pa.array([[1]])), "column 'seed' holds list"),
    "bytes": (lambda t: changed(t, "git", pa.array([b"x"])), "column 'git' holds binary, expected string"),
    "setting": (lambda t: changed(t, "param_lower_lr", pa.array([{"a": 1}])), "'param_lower_lr' holds struct"),
    "exact": (
        lambda t: changed(t, "param_lower_lr", pa.array([2**60])),
        "'param_lower_lr' holds a whole number beyond",
    ),
    "large": (lambda t: changed(t, "seed", pa.array([2**63], pa.uint64())), "column 'seed' holds what is no int64"),
    "word": (
        lambda t: changed(t, "status", pa.array(["done"])),
        "column 'status' holds 'done', expected one of running",
    ),
    "name": (lambda t: changed(t, "trial", pa.array(["a\x1b[31m"])), "which is no trial's name"),
    "time": (
        lambda t: changed(t, "updated_at", pa.array([2**62], pa.timestamp("us", "UTC"))),
        "column 'updated_at' holds a time that no calendar has",
    ),
}


@pytest.mark.parametrize(("change", "told"), UNSOUND.values(), ids=UNSOUND.keys())
def test_a_strange_file_is_named_and_skipped(tmp_path: Path, file: Path, change, told: str) -> None:
    pq.write_table(change(pq.ParquetFile(file).read()), file)
    with pytest.warns(DamagedFileWarning, match=f"skipped .*trials-1.parquet, which can't be read: .*{told}"):
        assert read_trials(tmp_path).num_rows == 0


def test_what_a_later_release_adds_is_no_damage(tmp_path: Path, file: Path) -> None:
    table = pq.ParquetFile(file).read()
    table = table.append_column("later", pa.array([7])).append_column("much_later", pa.array([[1, 2]]))
    table = changed(table, "status", pa.array(["complete"]).dictionary_encode())
    pq.write_table(changed(table, "objective", pa.array([1])), file)  # what other programs make of 1.0
    (row,) = to_rows(read_trials(tmp_path))
    assert (row["later"], row["status"], row["objective"]) == (7, "complete", 1.0) and "much_later" not in row


def test_a_folder_that_is_no_sweeps(tmp_path: Path, file: Path) -> None:
    file.parent.rename(file.parent.with_name("sweep=a\x1b[31m"))
    with pytest.warns(DamagedFileWarning, match="its folder is called sweep="):
        assert read_trials(tmp_path).num_rows == 0


def test_the_warning_is_a_line_on_the_board(tmp_path, file, monkeypatch, capsys) -> None:
    pq.write_table(changed(pq.ParquetFile(file).read(), "status", pa.array(["\x1b[31m"])), file)
    done = run_here(monkeypatch, capsys, "leaderboard", "--storage", str(tmp_path))
    first, _ = done.err.splitlines()
    assert done.code == 1 and first.startswith("warning: skipped ") and r"holds '\x1b[31m', expected" in first


def test_the_warning_is_a_line_wherever_else_it_is_met(tmp_path, monkeypatch, capsys) -> None:
    def meet_it() -> None:
        for line in (1, 2):
            warnings.warn_explicit("skipped a\x1b[31m", DamagedFileWarning, "x.py", line)

    monkeypatch.setattr("bissl_ray.cli.spaces._print_list", meet_it)
    assert run_here(monkeypatch, capsys, "spaces").err == "warning: skipped a\\x1b[31m\n"
