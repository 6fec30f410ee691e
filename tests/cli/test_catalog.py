"""`bissl-ray list`, `status`, `rm`, `clean` and `diff`, as a person and a program read them."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bissl_ray.store.lock import locked
from tests.cli.command import Done, run_here
from tests.earlier.storage import unpack_release_0_1


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    unpack_release_0_1(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "140")
    return lambda *arguments: run_here(monkeypatch, capsys, *arguments)


def as_json(done: Done) -> Any:
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_list_shows_every_thing_with_its_state(here: Any) -> None:
    done = here("list")
    assert (done.code, done.err) == (0, "")
    lines = {line.split()[0]: line.split() for line in done.out.splitlines()[2:]}
    assert lines["done"][1:5] == ["sweep", "digits", "finished", "10/10"] and "test" in lines["done"]
    assert lines["cut"][3:5] == ["interrupted", "0/10"]
    assert lines["fine"][1:4] == ["stage", "digits", "finished"]
    assert lines["cmp"][1:5] == ["comparison", "digits", "finished", "7/7"] and lines["cmp-digits-1ep"][-1] == "cmp"


def test_list_as_json_holds_every_digit(here: Any) -> None:
    found = as_json(here("list", "-f", "json"))
    (one,) = (thing for thing in found["things"] if thing["name"] == "done")
    board = as_json(here("leaderboard", "--sweep", "done", "--format", "json"))["verdicts"][0]
    assert one["score"]["objective"] == board["winner_test"]["mean"]
    assert one["score"]["gain"]["mean"] == board["test_gain"]["mean"]
    size = sum(p.stat().st_size for p in Path("runs").rglob("*") if p.is_file() and "done" in str(p))
    assert (one["bytes"], one["done"], one["asked"], one["kind"]) == (size, 10, 10, "sweep")


def test_list_of_one_dataset(here: Any) -> None:
    assert {thing["dataset"] for thing in as_json(here("list", "--dataset", "digits", "-f", "json"))["things"]}
    done = here("list", "--dataset", "cars")
    assert done.code == 2 and "there is digits" in done.err


def test_status_of_what_is_finished_and_what_was_cut_off(here: Any) -> None:
    done = here("status", "done")
    assert done.code == 0 and "No difference beyond seed noise on digits" in done.out
    assert "10 of 10 have ended: 7 complete, 3 pruned" in done.out
    assert done.out.endswith("\nNext: bissl-ray leaderboard --sweep done\n")
    cut = here("status", "cut")
    assert "cut off    t000" in cut.out and "4 explore trials" in cut.out
    assert cut.out.endswith("\nNext: bissl-ray resume cut\n")
    assert here("status", "fine").out.endswith("\nNext: bissl-ray evaluate --start runs/stages/fine/finetuned.pt\n")
    compared = here("status", "cmp")
    assert "cmp-digits-1ep: No difference" in compared.out and "compare --name cmp" in compared.out


def test_status_of_what_runs_says_who_runs_it_and_rm_refuses_it(here: Any) -> None:
    with locked(str(Path("runs").absolute()), "sweeps/cut", "sweep cut"):
        found = as_json(here("status", "cut", "--format", "json"))
        assert found["thing"]["state"] == "running" and found["held"]["pid"] > 0 and found["held"]["since"]
        assert found["next"] == "bissl-ray leaderboard --sweep cut --watch"
        assert "running since " in here("status", "cut").out
        done = here("rm", "cut", "done", "--yes")
        assert done.code == 2 and done.err.count("\n") == 1 and "sweep cut is being run by process" in done.err
        assert here("clean", "cut").code == 2
    assert here("leaderboard", "--sweep", "done").code == 0


def test_rm_says_what_went(here: Any) -> None:
    done = here("rm", "done", "fine", "-y")
    assert done.code == 0, done.err
    assert done.out.startswith("removed sweep done: 5 files, 591 KiB\n")
    assert "pretrained/digits-1d4e233dcd13.pt stays: sweep cmp-digits-1ep starts from it" in done.out
    assert not Path("runs/sweeps/done").exists() and not Path("runs/stages/fine").exists()
    gone = as_json(here("rm", "cmp", "--yes", "--format", "json"))
    assert [each["name"] for each in gone["removed"]] == ["cmp-digits-1ep", "cmp"] and gone["bytes"] > 40_000


def test_rm_asks_where_somebody_can_answer(here: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = here("rm", "done")
    assert refused.code == 2 and "add --yes" in refused.err and Path("runs/sweeps/done").exists()
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    done = here("rm", "done")
    assert done.code == 0 and "Nothing was removed." in done.err and Path("runs/sweeps/done").exists()
    assert "591 KiB" in done.out


def test_rm_of_one_of_two_that_have_a_name(here: Any) -> None:
    Path("runs/stages/fine").rename("runs/stages/done")
    done = here("rm", "done", "--yes")
    assert done.code == 2 and "say which, sweeps/done or stages/done" in done.err
    assert here("rm", "stages/done", "--yes").code == 0
    assert Path("runs/sweeps/done").exists() and not Path("runs/stages/done").exists()


def test_clean_lists_before_it_removes(here: Any) -> None:
    progress = Path("runs/sweeps/done/checkpoints/t000/progress.pt")
    progress.parent.mkdir(parents=True, exist_ok=True)
    progress.write_bytes(bytes(5000))
    done = here("clean", "--dry-run")
    assert done.code == 0 and "sweeps/done/checkpoints/t000/progress.pt" in done.out and "4.88 KiB" in done.out
    assert progress.exists()
    assert here("clean").code == 2
    assert here("clean", "--yes").out == "removed 1 file, 4.88 KiB\n" and not progress.exists()
    assert "not needed" in here("clean").out


def test_diff_of_two_trials(here: Any) -> None:
    found = as_json(here("diff", "done/t000", "cmp-digits-1ep/t000", "-f", "json"))
    assert (found["what"], found["a"], found["b"]) == ("trials", "done/t000", "cmp-digits-1ep/t000")
    shared = next(pair for pair in found["scores"] if pair["of"] == "over seeds" and pair["split"] == "test")
    assert shared["gain"]["n"] == len(shared["seeds"]) == 2
    assert shared["gain"]["mean"] == pytest.approx(shared["b"]["mean"] - shared["a"]["mean"])
    assert {"sweep"} <= {each["name"] for each in found["facts"]}
    one, other = "done/t000", "done/t001"
    differs = {
        each["name"]: (each["a"], each["b"]) for each in as_json(here("diff", one, other, "-f", "json"))["settings"]
    }
    row = {r["trial"]: r for r in as_json(here("leaderboard", "--sweep", "done", "-f", "json"))["rows"]}
    assert differs["lower_lr"] == (row["t000"]["param_lower_lr"], row["t001"]["param_lower_lr"])


def test_diff_of_two_sweeps(here: Any) -> None:
    done = here("diff", "done", "cmp-digits-1ep")
    assert done.code == 0 and "searched, " in done.out and "winner" in done.out and "by seed" in done.out
    alike = here("diff", "done", "done")
    assert "No setting differs between done and done." in alike.out


def test_diff_of_a_sweep_and_a_trial_is_refused(here: Any) -> None:
    done = here("diff", "done", "t000")
    assert done.code == 2 and "done is a sweep and t000 is none" in done.err


@pytest.mark.parametrize("verb", [["list"], ["status", "x"], ["rm", "x", "--yes"], ["clean"], ["diff", "a", "b"]])
def test_a_storage_that_is_not_there_is_refused(verb: list[str], refused: Any) -> None:
    said = refused(*verb, "--storage", "elsewhere")
    assert said.count("\n") == 0 and "storage 'elsewhere': found no such folder" in said


def test_an_empty_storage(tmp_path: Path, monkeypatch, capsys) -> None:
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    done = run_here(monkeypatch, capsys, "list")
    assert (done.code, done.out.count("\n")) == (0, 1) and "no sweep, stage or comparison in ./runs yet" in done.out
    assert json.loads(run_here(monkeypatch, capsys, "list", "-f", "json").out)["things"] == []
    assert run_here(monkeypatch, capsys, "clean").out == "nothing in ./runs that is not needed\n"
    for verb in (["status", "night"], ["rm", "night", "--yes"], ["diff", "a", "b"]):
        done = run_here(monkeypatch, capsys, *verb)
        assert done.code == 2 and done.err.count("\n") == 1


def test_a_damaged_document_is_said_and_the_rest_is_listed(here: Any) -> None:
    Path("runs/sweeps/cut/sweep.json").write_text("{")
    done = here("list")
    assert done.code == 0 and "unreadable" in done.out and "cut: " in done.out and "finished" in done.out
    assert "is not JSON" in here("status", "cut").out
    assert here("rm", "cut", "--yes").code == 0 and not Path("runs/sweeps/cut").exists()
