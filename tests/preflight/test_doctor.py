"""`bissl-ray doctor` finds what is wrong in a storage, with what can be saved of it; what was left over goes."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from pyarrow.fs import FileSystem, LocalFileSystem, SubTreeFileSystem

from bissl_ray.config.documents import SweepDocument
from bissl_ray.config.options import SweepOptions
from bissl_ray.config.setting_rules import parameter_types
from bissl_ray.preflight.doctor.check import check_storage
from bissl_ray.preflight.doctor.findings import Finding
from bissl_ray.store import SweepWriter
from bissl_ray.store.documents import write_document
from bissl_ray.store.lock import Claim, locked
from bissl_ray.sweep.run import prepare_request
from bissl_ray.training.files import write_tensors
from bissl_ray.world import World, inside, world
from tests.cli.command import run_here, tiny_space
from tests.earlier.storage import unpack_release_0_1

SEARCH = {"phase": "explore", "step": "search"}
AT = datetime(2026, 1, 1, tzinfo=UTC)
TOKEN = "a" * 32


def checkpoint(trial: str) -> str:
    return f"sweeps/night/checkpoints/{trial}/aligned.pt"


def write(storage: str, rows: Iterable[dict[str, Any]], told: dict[str, dict[int, float]] | None = None) -> None:
    """Files of their own for such rows, and reports: nothing is merged, as while a sweep is under way."""
    writer = SweepWriter(storage, "digits", "night", parameter_types())
    for row in rows:
        writer.trial(row)
        writer.flush()
    for trial, curve in (told or {}).items():
        for alternation, objective in curve.items():
            report = {"trial": trial, "stage": "bissl", "alternation": alternation, "objective": objective}
            writer.report(report | {"lower_loss": 1.0, "upper_loss": objective})
    writer.flush()


def fill(folder: Path, storage: str) -> None:
    """A sweep that ran two trials; nothing is wrong."""
    request = prepare_request(SweepOptions(space=tiny_space(folder), name="night"))
    write_document(storage, "night", SweepDocument(request=request))
    end = {"ended_at": AT, "alternations": 2, "workers": 1, "gpu_seconds": 0.0}
    rows = [
        {"trial": "t000", "status": "complete", "objective": 0.5, "checkpoint": checkpoint("t000"), **SEARCH, **end},
        {"trial": "t001", "status": "pruned", "objective": 0.25, **SEARCH, **end},
    ]
    write(storage, rows, {"t000": {1: 0.125, 2: 0.5}, "t001": {1: 0.125, 2: 0.25}})
    write_tensors(storage, checkpoint("t000"), {"backbone": {"weight": torch.arange(900.0)}})


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    fill(tmp_path, str(tmp_path / "runs"))
    return tmp_path / "runs"


def found(storage: Path | str, **how: Any) -> list[Finding]:
    return check_storage(str(storage), **how).findings


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def leave_claim(storage: Path, token: str = TOKEN, **changes: Any) -> Path:
    """A claim of a process of this machine that is gone, or of another."""
    mine = {**world().process()._asdict(), "renewed_at": 0.0, "pid": 2**22 + 1, **changes}
    path = storage / f"sweeps/night/lock-{token}.json"
    path.write_text(Claim(**mine).model_dump_json())
    return path


def test_nothing_is_wrong(storage: Path, monkeypatch, capsys) -> None:
    (storage / ".DS_Store").write_text("of somebody else")
    done = run_here(monkeypatch, capsys, "doctor", "--only", "files", "--storage", storage)
    assert (done.code, done.err) == (0, "")
    said = "3 results files, 2 trials, 4 reports, 1 documents, 1 files of tensors: nothing is damaged."
    assert " ".join(done.out.split()) == f"Checked {said}"


def test_a_damaged_file_of_trials_is_named_with_what_is_left_and_what_runs_again(storage: Path) -> None:
    before = {*storage.rglob("trials-*.parquet")}
    write(str(storage), [{"trial": "t002", "status": "running", **SEARCH}], {"t003": {1: 0.5}})
    (path,) = {*storage.rglob("trials-*.parquet")} - before
    flip(path)
    damaged, rowless = found(storage)
    assert (rowless.state, rowless.what) == ("note", "rows") and rowless.found.startswith("t003 left reports")
    assert (damaged.state, damaged.what, damaged.place) == ("damaged", "results file", str(path.relative_to(storage)))
    assert "by the checksum in its name" in damaged.found
    assert (
        "shown from other files: t000, t001; resume runs no trial again; other trials take the place of t003; "
        in damaged.kept
    )
    assert damaged.kept.endswith("put it back from a copy of yours; delete it if there is none")


def test_rows_without_a_status_are_no_results(storage: Path) -> None:
    (path, *_) = storage.rglob("trials-*.parquet")
    table = pq.ParquetFile(path).read().drop_columns(["status"])
    theirs = path.with_name("trials-1.parquet")
    pq.write_table(table.append_column("status", pa.nulls(table.num_rows, pa.string())), theirs)
    (damaged,) = found(storage)
    assert damaged.place.endswith("/trials-1.parquet") and "'status'" in damaged.found


def test_a_damaged_file_of_reports_leaves_holes(storage: Path) -> None:
    (path,) = storage.rglob("reports-*.parquet")
    path.write_bytes(path.read_bytes()[:-9])
    (damaged,) = found(storage)
    assert damaged.place.endswith(path.name) and "curves with holes: t000, t001" in damaged.kept


@pytest.mark.parametrize(
    ("rows", "told", "place", "said"),
    [
        ([{"trial": "t001", "status": "failed", "ended_at": AT + timedelta(days=1)}], {}, "night/t001", "ended twice"),
        ([{"trial": "t001", "status": "running"}], {}, "night/t001", "is running after it had ended, pruned"),
        ([], {"t001": {1: 0.75}}, "night/t001", "told twice, and not alike: objective of bissl 1, 0.125 and 0.75"),
        ([{"trial": "t001", "alternations": 4}], {"t001": {4: 0.25}}, "night/t001", "the report of alternation 3 is"),
        ([{"trial": "t001", "objective": 0.75}], {}, "night/t001", "the report of its objective, 0.75, is missing"),
        ([{"trial": "t000", "objective": None}], {}, "night/t000", "ran to its end, and has no objective"),
        ([], {"t009": {1: 0.5}}, "night", "t009 left reports, or trials that come from it, and no row"),
        (
            [{"trial": "t009-f0", "status": "complete", "objective": 0.5, "parent": "t009", **SEARCH}],
            {"t009-f0": {1: 0.5}},
            "night",
            "t009 left reports, or trials that come from it, and no row",
        ),
    ],
)
def test_rows_that_contradict_one_another(storage: Path, rows, told, place: str, said: str) -> None:
    write(str(storage), rows, told)
    (damaged,) = (finding for finding in found(storage) if finding.state == "damaged")
    assert (damaged.what, damaged.place) == ("rows", place) and said in damaged.found


def test_what_is_told_again_alike_is_no_contradiction_and_last_digits_on_a_gpu_are_a_note(storage: Path) -> None:
    write(str(storage), [], {"t001": {1: 0.125}})
    assert found(storage) == []
    write(str(storage), [{"trial": "t001", "gpu_seconds": 5.0}], {"t001": {1: 0.126}})
    (note,) = found(storage)
    assert note.state == "note" and "told twice, and not alike" in note.found and "last digits differ" in note.kept


def test_trials_that_wait_are_no_damage_and_nothing_is_missing_while_somebody_runs_them(storage: Path) -> None:
    write(str(storage), [{"trial": "t002", "status": "running", "alternations": 2, **SEARCH}], {"t002": {1: 0.5}})
    missing, waiting = found(storage)
    assert missing.state == "damaged" and missing.kept == "resume has it told again"
    assert waiting.state == "note" and waiting.found == "nobody runs it, and it has not ended: t002"
    with locked(str(storage), "sweeps/night", "sweep night"):
        (held,) = found(storage)
    assert held.state == "note" and "works here" in held.found


@pytest.mark.parametrize("content", ["{", "[]", '{"version": 3}', None])
def test_documents(storage: Path, content: str | None) -> None:
    for place in ("sweeps/night/sweep.json", "stages/fine/stage.json", "comparisons/c.json"):
        path = storage / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content or "")
        if content is None:
            path.unlink()
    (storage / "stages/fine/finetuned.pt").write_bytes((storage / checkpoint("t000")).read_bytes())
    places = [finding.place for finding in found(storage) if finding.what == "document"]
    comparisons = [] if content is None else ["comparisons/c.json"]
    assert places == ["sweeps/night/sweep.json", "stages/fine/stage.json", *comparisons]


def test_models_that_are_damaged_missing_or_something_else(storage: Path) -> None:
    path = storage / checkpoint("t000")
    flip(path)
    (damaged,) = found(storage)
    assert damaged.place == checkpoint("t000") and "is not what was written, by its checksum" in damaged.found
    assert "bissl-ray train --from-trial night/t000 makes it anew" in damaged.kept
    assert found(storage, quick=True) == []
    path.unlink()
    (missing,) = found(storage)
    assert missing.found == "night/t000 names it, and it is not there"
    write_tensors(str(storage), checkpoint("t000"), {"upper": {}})
    assert found(storage)[0].found == "it has no backbone"


def test_what_was_left_over_is_removed_where_nobody_is_at_work(storage: Path, monkeypatch, capsys) -> None:
    kept = {*storage.rglob("*")}
    leave_claim(storage)
    left = [
        *("results/dataset=digits/sweep=night/.trials-1.parquet.0a1b2c3d", "sweeps/night/.sweep.json.0a1b2c3d"),
        *("sweeps/night/checkpoints/t000/.progress.pt.0a1b2c3d", f".probe-{TOKEN}", "pretrained/.x.pt.0a1b2c3d"),
        *(f"sweeps/night/lock-{TOKEN}/trials-1.parquet", "sweeps/night/ray/tune/state.json"),
        f".doctor-{TOKEN}/{TOKEN}",
        "sweeps/night/checkpoints/t001/progress.pt",
    ]
    for name in left:
        (storage / name).parent.mkdir(parents=True, exist_ok=True)
        (storage / name).write_bytes(b"half")
    void = leave_claim(storage, "b" * 32, host="elsewhere", where="elsewhere")
    mark = void.with_name(f"{void.name}.void")
    mark.write_bytes(b"")
    # The claim of a process that is gone makes way for who comes, with what that had written aside in the folder.
    with locked(str(storage), "sweeps/night", "sweep night"):
        assert not any(finding.state == "left over" for finding in found(storage, clean=True))
    gone = {name for name in left if "lock-" in name or (name.startswith("sweeps/night/") and "/." in name)}
    assert {name for name in left if not (storage / name).exists()} == gone
    looked = run_here(monkeypatch, capsys, "doctor", "--only", "files", "--storage", storage, "--format", "json")
    assert looked.code == 0 and not any(finding["removed"] for finding in json.loads(looked.out)["findings"])
    cleaned = run_here(monkeypatch, capsys, "doctor", "--only", "files", "--storage", storage, "--clean")
    assert cleaned.code == 0 and "removed" in cleaned.out
    # What another machine may wake up beside stays.
    assert {path for path in {*storage.rglob("*")} - kept if path.is_file()} == {void, mark}
    assert kept <= {*storage.rglob("*")} and [finding.state for finding in found(storage)] == ["note"]


@pytest.mark.parametrize("form", ["table", "json", "csv", "md"])
def test_every_form_has_every_finding_and_the_exit_code_says_so(storage: Path, form: str, monkeypatch, capsys) -> None:
    for path in (*storage.rglob("reports-*.parquet"), storage / checkpoint("t000")):
        flip(path)
    done = run_here(monkeypatch, capsys, "doctor", "--only", "files", "--storage", storage, "--format", form)
    assert done.code == 1 and done.err == ""
    text = "".join(done.out.split())
    assert all(finding.place in text for finding in found(storage)) and "reports-" in text
    if form == "json":
        assert {finding["what"] for finding in json.loads(done.out)["findings"]} == {"results file", "models"}


@pytest.mark.parametrize(("name", "said"), [("nowhere", "found no such folder"), ("file", "is a file, a folder was")])
def test_a_storage_that_is_none(tmp_path: Path, name: str, said: str, monkeypatch, capsys) -> None:
    (tmp_path / "file").write_text("mine")
    done = run_here(monkeypatch, capsys, "doctor", "--only", "files", "--storage", tmp_path / name)
    assert done.code == 2 and said in done.err and done.err.count("\n") == 1


def test_a_storage_that_release_0_1_left(tmp_path: Path) -> None:
    unpack_release_0_1(tmp_path)
    findings = found(tmp_path / "runs")
    # The archive holds few of its checkpoints.
    assert {finding.what for finding in findings if finding.state == "damaged"} == {"models"}
    assert all("is not there" in finding.found for finding in findings if finding.state == "damaged")
    others = {finding.place for finding in findings if finding.state != "damaged"}
    assert others == {"cut", "sweeps/cut/lock.json"}


class _Elsewhere(World):
    """A world with a file system on which paths are none of this machine's."""

    def __init__(self, folder: Path) -> None:
        self._system = SubTreeFileSystem(str(folder), LocalFileSystem())

    def file_system(self, uri: str) -> tuple[FileSystem, str]:
        return self._system, uri.partition("://")[2]


def test_a_storage_on_another_file_system(tmp_path: Path) -> None:
    storage = "elsewhere://bucket/runs"
    with inside(_Elsewhere(tmp_path)):
        fill(tmp_path, storage)
        assert found(storage) == []
        write(storage, [{"trial": "t002", "status": "running", **SEARCH}])
        (tmp_path / "bucket/runs/sweeps/night/.sweep.json.0a1b2c3d").write_bytes(b"half")
        assert [finding.state for finding in found(storage)] == ["left over", "note"]
        assert [finding.removed for finding in found(storage, clean=True)] == [True, False]
        assert [finding.state for finding in found(storage)] == ["note"]
