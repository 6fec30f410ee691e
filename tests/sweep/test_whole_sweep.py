"""The main job through the command line: real Ray, Tune, Optuna and Parquet on digits."""

import csv
import io
import json
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from bissl_ray.config.settings import Settings
from bissl_ray.preflight.doctor.check import check_storage
from bissl_ray.store import REPORT_COLUMNS, TRIAL_COLUMNS, read_reports, read_trials, to_rows
from tests.cli.command import TINY, run, run_here
from tests.sweep.conftest import FinishedSweep

pytestmark = pytest.mark.ray


def rows_of(storage: Path, sweep: str = "tiny") -> list[dict[str, Any]]:
    return to_rows(read_trials(storage, sweep=sweep))


def test_every_phase_ran(finished: FinishedSweep) -> None:
    rows = rows_of(finished.storage)
    protocol = TINY["protocol"]
    counts = Counter((row["phase"], row["step"]) for row in rows)
    # ASHA may leave fewer finalists than asked for; they share all fine-tuning runs, and the control gets as many.
    finalists = min(protocol["finalists"], sum(r["step"] == "search" and r["status"] == "complete" for r in rows))
    runs, seeds = protocol["finalists"] * protocol["finetune_runs"], finalists * protocol["seeds"]
    assert counts == {
        ("explore", "search"): protocol["trials"],
        ("confirm", "tuning"): runs,
        ("control", "tuning"): runs,
        ("confirm", "seeds"): seeds,
        ("control", "seeds"): seeds,
    }
    assert {row["status"] for row in rows} <= {"complete", "pruned"}
    assert all(row["status"] == "complete" for row in rows if row["step"] != "search")


def test_asha_stops_some_and_not_all(finished: FinishedSweep) -> None:
    explored = [row for row in rows_of(finished.storage) if row["step"] == "search"]
    pruned = [row for row in explored if row["status"] == "pruned"]
    assert 0 < len(pruned) < len(explored)
    assert all(row["alternations"] < TINY["fixed"]["alternations"] and "ASHA" in row["status_reason"] for row in pruned)
    reports = to_rows(read_reports(finished.storage))
    for row in pruned:
        own = [report["hvps"] for report in reports if report["trial"] == row["trial"]]
        assert row["hvps"] == sum(own) and row["seconds"] > 0, "what a stopped trial cost is known"
    full = [row for row in explored if row["status"] == "complete"]
    assert all(row["alternations"] == TINY["fixed"]["alternations"] for row in full)


def test_known_good_goes_first_and_overrides(finished: FinishedSweep) -> None:
    first = next(row for row in rows_of(finished.storage) if row["trial"] == "t000")
    assert first["origin"] == "known_good"
    known = TINY["known_good"][0]
    assert {name: first[f"param_{name}"] for name in known} == known
    others = [row for row in rows_of(finished.storage) if row["step"] == "search" and row["trial"] != "t000"]
    assert {row["origin"] for row in others} == {"tpe"}
    assert {row["param_damping"] for row in others} == {Settings.model_fields["damping"].default}


def test_control_and_finalists_are_treated_alike(finished: FinishedSweep) -> None:
    rows = rows_of(finished.storage)
    points = {
        phase: sorted(row["param_finetune_lr"] for row in rows if row["step"] == "tuning" and row["phase"] == phase)
        for phase in ("confirm", "control")
    }
    assert points["confirm"] == points["control"]
    seeds = {
        phase: sorted({row["seed"] for row in rows if row["step"] == "seeds" and row["phase"] == phase})
        for phase in ("confirm", "control")
    }
    assert seeds["confirm"] == seeds["control"] and len(seeds["control"]) == TINY["protocol"]["seeds"]


def test_only_winner_and_control_saw_the_test_split(finished: FinishedSweep) -> None:
    rows = rows_of(finished.storage)
    tested = [row for row in rows if row["test_metric"] is not None]
    assert {row["step"] for row in tested} == {"seeds"}
    assert Counter(row["phase"] for row in tested) == {
        "confirm": TINY["protocol"]["seeds"],
        "control": TINY["protocol"]["seeds"],
    }
    assert len({row["parent"] for row in tested}) == 2


def test_columns_of_the_contract(finished: FinishedSweep) -> None:
    trials, reports = read_trials(finished.storage), read_reports(finished.storage)
    assert set(TRIAL_COLUMNS) <= set(trials.column_names)
    assert {f"param_{name}" for name in Settings.model_fields} <= set(trials.column_names)
    assert set(REPORT_COLUMNS) == set(reports.column_names)
    # In plain pyarrow, file by file.
    file = next(finished.storage.glob("results/dataset=digits/sweep=tiny/trials-*.parquet"))
    types = {field.name: str(field.type) for field in pq.read_schema(file)}
    assert types["param_lower_lr"] == "double" and types["param_cg_iterations"] == "int64"
    complete = [row for row in rows_of(finished.storage) if row["status"] == "complete"]
    for row in complete:
        assert row["seconds"] > 0 and row["workers"] == 1 and row["attempts"] >= 1
        assert row["started_at"] < row["ended_at"] and torch.__version__.startswith(
            json.loads(row["versions"])["torch"]
        )
        assert 0 <= row["objective"] <= 1 and row["objective_name"] == "validation_top1"


def test_reports_tell_the_curve_and_the_solver(finished: FinishedSweep) -> None:
    trials = rows_of(finished.storage)
    # Which trials ASHA stops is a matter of which came first to a rung; one at least went to the end.
    whole = next(row for row in trials if row["step"] == "search" and row["status"] == "complete")
    reports = [row for row in to_rows(read_reports(finished.storage)) if row["trial"] == whole["trial"]]
    assert [row["alternation"] for row in reports] == list(range(1, 5))
    for row in reports:
        # Two solves of at most two iterations, and a product more where an answer's residual had to be measured.
        assert row["stage"] == "bissl" and 1 <= row["hvps"] <= 2 * 3 and row["cg_residual"] > 0
        assert row["ritz_min"] <= row["ritz_max"] and -1 <= row["hypergradient_cosine"] <= 1
    assert whole["hvps"] == sum(row["hvps"] for row in reports)
    # Ten looks at the ten steps of two epochs: none takes another's place.
    tuned = next(row["trial"] for row in trials if row["step"] == "tuning" and row["phase"] == "confirm")
    curve = [row["finetune_step"] for row in to_rows(read_reports(finished.storage)) if row["trial"] == tuned]
    assert curve == list(range(1, 11))


def test_other_readers_agree(finished: FinishedSweep) -> None:
    duckdb = pytest.importorskip("duckdb")
    pandas = pytest.importorskip("pandas")
    pattern = f"{finished.storage}/results/*/*/trials-*.parquet"
    found = duckdb.sql(
        f"select count(*), max(objective) from read_parquet('{pattern}', hive_partitioning = true) "
        "where dataset = 'digits' and sweep = 'tiny' and param_cg_iterations >= 0"
    ).fetchall()[0]
    frame = pandas.read_parquet(sorted(finished.storage.glob("results/*/*/trials-*.parquet")))
    rows = rows_of(finished.storage)
    assert found == (len(rows), max(row["objective"] for row in rows))
    assert len(frame) == len(rows) and frame["objective"].max() == found[1]


def test_the_board_says_who_won(finished: FinishedSweep) -> None:
    assert "for plain fine-tuning on the test split" in " ".join(finished.done.out.split())
    assert "control" in finished.done.out and "bissl-ray leaderboard" in finished.done.out
    assert "\x1b[" not in finished.done.out, "control codes in a pipe"
    done = run("leaderboard", "--format", "json", cwd=finished.folder)
    board = json.loads(done.out)
    rows = {row["trial"]: row for row in rows_of(finished.storage)}
    for line in board["rows"]:
        seeds = [row for row in rows.values() if row["step"] == "seeds" and row["parent"] == line["trial"]]
        if seeds:
            assert line["objective"] == pytest.approx(sum(row["objective"] for row in seeds) / len(seeds), abs=1e-12)
        else:
            assert line["objective"] == rows[line["trial"]]["objective"]
    (verdict,) = board["verdicts"]
    tested = {
        phase: {
            row["seed"]: row["test_metric"] for row in rows.values() if row["phase"] == phase and row["test_metric"]
        }
        for phase in ("confirm", "control")
    }
    gains = [tested["confirm"][seed] - tested["control"][seed] for seed in tested["control"]]
    assert verdict["test_gain"]["mean"] == pytest.approx(sum(gains) / len(gains), abs=1e-12)


@pytest.mark.parametrize("form", ["csv", "md", "table"])
def test_every_format_has_every_row(finished: FinishedSweep, form: str) -> None:
    done = run("leaderboard", "--format", form, "--top", "4", cwd=finished.folder)
    assert done.code == 0
    if form == "csv":
        assert [row["rank"] for row in csv.DictReader(io.StringIO(done.out)) if row["rank"]] == ["1", "2", "3", "4"]
    else:
        assert "t00" in done.out


def test_show_one_trial(finished: FinishedSweep) -> None:
    done = run("show", "t000", cwd=finished.folder)
    assert done.code == 0, done.err
    assert "known to be good" in done.out
    # What it says to run again is a space that a sweep accepts as it is.
    (finished.folder / "again.yaml").write_text(done.out[done.out.index("\ndataset: ") :])
    again = run("sweep", "--space", "again.yaml", "--dry-run", cwd=finished.folder)
    assert again.code == 0, again
    assert "1 explore trials" in again.out and "lower_lr: 0.3" in again.out


def test_trials_run_again_come_to_what_the_sweep_stored_bit_for_bit(
    finished: FinishedSweep, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(finished.folder)
    kinds = {(row["phase"], row["step"], row["status"]): row["trial"] for row in rows_of(finished.storage)}
    assert len(kinds) == 6
    for trial in kinds.values():
        shown = run_here(monkeypatch, capsys, "show", trial, "--command")
        again = run_here(monkeypatch, capsys, *shlex.split(shown.out)[1:], "--name", f"{trial}-again")
        assert again.code == 0 and f"tiny/{trial} comes to what is stored, bit for bit: " in again.out, again


def test_sweep_document(finished: FinishedSweep) -> None:
    document = json.loads((finished.storage / "sweeps/tiny/sweep.json").read_text())
    assert document["request"]["space"]["parameters"]["lower_lr"]["log"] is True
    assert len(document["fingerprint"]) == 64 and document["data"]["classes"] == 10
    assert "sweep --space" in document["command"]


def test_models_are_kept_and_load_as_tensors(finished: FinishedSweep) -> None:
    rows = rows_of(finished.storage)
    winner = next(row for row in rows if row["test_metric"] is not None and row["phase"] == "confirm")
    folder = finished.storage / f"sweeps/tiny/checkpoints/{winner['trial']}"
    aligned = torch.load(folder / "aligned.pt", weights_only=True)
    tuned = torch.load(folder / "finetuned.pt", weights_only=True)
    assert aligned["backbone"].keys() == tuned["backbone"].keys()
    assert aligned["metadata"]["trial"] == winner["trial"] and "re-estimated" in aligned["metadata"]["statistics"]
    # What a sweep has made, another can start from.
    again = run(
        "sweep", "--pretrained", folder / "aligned.pt", "--space", "tiny.yaml", "--dry-run", cwd=finished.folder
    )
    assert again.code == 0, again
    assert not list(finished.storage.glob("sweeps/tiny/checkpoints/*/progress.pt")), "nothing is half done"
    assert not (finished.storage / "sweeps/tiny/ray").exists(), "Ray's own state is left behind"
    assert check_storage(str(finished.storage)).findings == [], "the doctor finds something"
    tuned = [row["trial"] for row in rows if row["step"] == "tuning"]
    assert not any((finished.storage / f"sweeps/tiny/checkpoints/{name}/finetuned.pt").exists() for name in tuned)


def test_same_name_is_refused_and_resume_of_a_finished_sweep_adds_nothing(finished: FinishedSweep) -> None:
    again = run("sweep", "--space", finished.folder / "tiny.yaml", "--name", "tiny", cwd=finished.folder)
    assert again.code == 2 and "resume tiny" in again.err
    before = rows_of(finished.storage)
    resumed = run("resume", "tiny", cwd=finished.folder)
    assert (resumed.code, resumed.err) == (0, "")
    assert "for plain fine-tuning on the test split" in " ".join(resumed.out.split())
    assert "at a time" not in resumed.out, "a cluster was started to do nothing"
    assert rows_of(finished.storage) == before
    checked = run("sweep", "--space", finished.folder / "tiny.yaml", "--name", "tiny", "--dry-run", cwd=finished.folder)
    assert (checked.code, checked.err) == (2, again.err)


def test_extend_a_finished_sweep(finished: FinishedSweep) -> None:
    before = {row["trial"]: row for row in rows_of(finished.storage)}
    extended = run("resume", "tiny", "--trials", "8", cwd=finished.folder)
    assert extended.code == 0, extended
    after = {row["trial"]: row for row in rows_of(finished.storage)}
    assert {"t006", "t007"} <= after.keys()
    assert all(after[name]["objective"] == row["objective"] for name, row in before.items())
