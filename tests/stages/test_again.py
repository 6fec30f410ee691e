"""A trial of a sweep is run again by itself: the same bits from the same start, and a word on what is not the same."""

import json
import math
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch

from bissl_ray.config.columns import to_columns
from bissl_ray.config.documents import SweepDocument
from bissl_ray.config.options import StageOptions, SweepOptions
from bissl_ray.config.setting_rules import parameter_types
from bissl_ray.errors import BadInputError
from bissl_ray.preflight.data import inspect_data
from bissl_ray.progress import TrialPausedError
from bissl_ray.search.plans import plan_of
from bissl_ray.search.records import Record
from bissl_ray.stages.prepare import prepare_stage
from bissl_ray.stages.run import StageOutcome, run_stage
from bissl_ray.store import REPORT_COLUMNS, SweepWriter, read_reports, to_rows
from bissl_ray.store.documents import git_state, versions, write_document
from bissl_ray.sweep.parts import order_of
from bissl_ray.sweep.rows import RESULT_COLUMNS
from bissl_ray.sweep.run import prepare_request
from bissl_ray.training.files import exists, write_tensors
from bissl_ray.training.models import Models
from bissl_ray.training.pipeline import run_order
from bissl_ray.training.worker import alone
from bissl_ray.words import Origin, Phase, Status, Step
from tests.cli.command import run_here, tiny_space
from tests.stages.stage_runs import Impatient
from tests.training.small_trial import Reports
from tests.views import Seen

pytestmark = pytest.mark.slow

START = "sweeps/night/pretrained.pt"
TRIALS = {
    "t000": (Phase.EXPLORE, Step.SEARCH, None, 4),
    "t001": (Phase.EXPLORE, Step.SEARCH, None, 4),
    "t000-f0": (Phase.CONFIRM, Step.TUNING, "t000", 4),
    "t000-s1": (Phase.CONFIRM, Step.SEEDS, "t000", 5),
    "control-f0": (Phase.CONTROL, Step.TUNING, None, 4),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep that ran a trial of each kind, by its own orders; t001 paused after an alternation, then was stopped."""
    folder = tmp_path_factory.mktemp("again")
    storage = folder / "runs"
    request = prepare_request(SweepOptions(space=tiny_space(folder, protocol={"seed": 4}), name="night"))
    fingerprint = inspect_data(request.data).fingerprint
    document = SweepDocument(request=request, start=START, fingerprint=fingerprint, git=git_state())
    write_document(storage, "night", document)
    torch.manual_seed(5)
    content = Models.build(request.space.settings({}), torch.device("cpu")).content()
    write_tensors(str(storage), START, {part: content[part] for part in ("backbone", "pretext")})
    with SweepWriter(storage, "digits", "night", parameter_types()) as writer:
        for name, (phase, step, parent, seed) in TRIALS.items():
            point = {"lower_lr": 0.3, "upper_lr": 0.1, "cg_iterations": 2, "damping": 20.0}
            order = order_of(plan_of(Record(name, phase, step, parent, seed, point, "tpe")), document, str(storage))
            reports = Reports()
            if name == "t001":
                with pytest.raises(TrialPausedError):
                    run_order(order.model_copy(update={"until": 1}), alone(torch.device("cpu")), reports)
                with pytest.raises(TrialPausedError):
                    run_order(order.model_copy(update={"until": 3}), alone(torch.device("cpu")), reports)
                result, status = reports[-1]["so_far"], Status.PRUNED
            else:
                result, status = run_order(order, alone(torch.device("cpu")), reports), Status.COMPLETE
            kinds = {"phase": phase, "step": step, "parent": parent, "seed": seed, "origin": Origin.TPE}
            writer.trial(
                {
                    **{column: value for column, value in result.items() if column in RESULT_COLUMNS},
                    "objective": result["objective"],
                    **{"trial": name, "status": status, "git": git_state(), "versions": versions(), **kinds},
                    **to_columns(order.settings),
                }
            )
            for row in reports:
                told = {column: value for column, value in row.items() if column in REPORT_COLUMNS}
                writer.report({**told, "trial": name})
    return folder


@pytest.fixture
def storage(folder: Path, tmp_path: Path) -> str:
    """It, where this test may change it; only rows and documents are its own."""
    copy = tmp_path / "runs"
    for path in (folder / "runs").rglob("*"):
        if path.is_file():
            target = copy / path.relative_to(folder / "runs")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return str(copy)


def again(storage: str, trial: str, view: Seen | None = None, **flags: Any) -> StageOutcome:
    asked = StageOptions(from_trial=f"night/{trial}", storage=storage, name="anew", **flags)
    return run_stage(prepare_stage("train", asked)[0], storage, None, view or Seen())


def rewrite(storage: str, row: dict[str, Any], report: dict[str, Any] | None = None) -> None:
    with SweepWriter(storage, "digits", "night", parameter_types()) as writer:
        writer.trial(row)
        if report is not None:
            writer.report({"trial": row["trial"], **report})


@pytest.mark.parametrize(
    ("trial", "reports"), [("t000", 4), ("t001", 3), ("t000-f0", 10), ("t000-s1", 14), ("control-f0", 10)]
)
def test_it_comes_to_what_is_stored_bit_for_bit(storage: str, trial: str, reports: int) -> None:
    view = Seen()
    done = again(storage, trial, view)
    assert done.finished and not done.unlike_stored and len(view.rows) == reports
    assert done.result["again"] == {
        "same": True,
        "words": f"night/{trial} comes to what is stored, bit for bit: objective {done.result['objective']}, and those "
        f"of all {reports} reports",
        "changed": None,
    }
    assert not any(line.startswith("unlike then") for line in view.notes)
    left = {path.name for path in (Path(storage) / "stages/anew").iterdir()}
    assert left <= {"stage.json", "aligned.pt", "finetuned.pt"} and (len(left) > 1) == (trial != "t001")
    # What it started from is the sweep's, and stays.
    assert exists(storage, START) and exists(storage, "sweeps/night/checkpoints/t000/aligned.pt")


def test_one_that_was_interrupted_itself_is_compared_whole(storage: str) -> None:
    assert not again(storage, "t000", Impatient(2)).finished
    view = Seen()
    done = again(storage, "t000", view)
    assert [row["alternation"] for row in view.rows] == [3, 4]
    assert "bit for bit: " in done.result["again"]["words"] and "all 4 reports" in done.result["again"]["words"]


def test_what_is_not_as_it_was_is_said_before_and_after(storage: str) -> None:
    row = {"trial": "t000", "git": "abc", "versions": '{"torch": "2.0.1"}', "workers": 2, "device": "NVIDIA H200"}
    rewrite(storage, row, {"stage": "bissl", "alternation": 3, "objective": 0.125})
    document = Path(storage, "sweeps/night/sweep.json")
    document.write_text(json.dumps(json.loads(document.read_text()) | {"fingerprint": "0123456789abcdef"}))
    view = Seen()
    done = again(storage, "t000", view, workers=1)
    unlike = [line.removeprefix("unlike then: ") for line in view.notes if line.startswith("unlike then: ")]
    assert [line.split(" ")[0] for line in unlike] == ["other", "torch", "the", "1", "on"]
    assert "instead of 0123456789ab" in unlike[0] and unlike[1].endswith(" instead of 2.0.1")
    assert unlike[2].endswith(" instead of abc") and unlike[3] == "1 worker instead of 2"
    assert unlike[4].endswith(" instead of NVIDIA H200")
    assert done.finished and done.unlike_stored
    here = view.rows[2]["objective"]
    assert f"night/t000 does not come to what is stored: objective of alternation 3, {here} here, 0.125 stored" in str(
        done.result["again"]["words"]
    )


def test_a_figure_in_its_last_digit_is_no_other_result(storage: str) -> None:
    report = next(r for r in to_rows(read_reports(storage)) if (r["trial"], r["alternation"]) == ("t001", 2))
    loss = math.nextafter(report["lower_loss"], math.inf)
    told = {name: report[name] for name in ("stage", "alternation", "objective")}
    rewrite(storage, {"trial": "t001", "threads": None, "device": None}, {**told, "lower_loss": loss})
    view = Seen()
    done = again(storage, "t001", view)
    assert "its device and threads are not stored, by an earlier release: last digits may be others" in view.notes
    assert done.result["again"]["same"] is True and not done.unlike_stored
    figure = f"; not bit for bit: lower_loss of alternation 2, {report['lower_loss']} here, {loss} stored"
    assert done.result["again"]["words"].endswith(figure)


def test_what_is_asked_otherwise_is_no_failure(storage: str) -> None:
    view = Seen()
    done = again(storage, "t001", view, seed=7, assignments=["lower_lr=0.05"])
    assert "unlike then: lower_lr 0.05 instead of 0.3, seed 7 instead of 4" in view.notes
    assert done.result["again"]["same"] is False and not done.unlike_stored


def test_of_a_release_that_counted_epochs_the_last_report_of_each_is_compared(storage: str) -> None:
    import pyarrow.parquet as pq

    (path,) = Path(storage).rglob("reports-*.parquet")
    table = pq.ParquetFile(path).read()
    path.unlink()
    place = table.schema.get_field_index("finetune_step")
    table = table.drop_columns(["finetune_step"]).append_column("finetune_step", [[None] * table.num_rows])
    assert place > 0
    pq.write_table(table, path.with_name("reports-1.parquet"))
    done = again(storage, "t000-f0")
    assert done.result["again"]["same"] is True and "all 2 reports" in done.result["again"]["words"]


@pytest.mark.parametrize(
    ("gone", "trial", "said"),
    [
        (START, "t000", f"/{START}, which is gone: put it back, or give another with --start FILE"),
        (
            "sweeps/night/checkpoints/t000/aligned.pt",
            "t000-f0",
            r"aligned.pt, which is gone: put it back \(bissl-ray train --from-trial night/t000 makes it anew\)",
        ),
    ],
)
def test_a_start_that_is_gone(storage: str, gone: str, trial: str, said: str) -> None:
    Path(storage, gone).unlink()
    with pytest.raises(BadInputError, match=said):
        again(storage, trial)
    assert not Path(storage, "stages").exists()


def test_who_took_another_trials_place_can_not_be_run_again(storage: str) -> None:
    kinds = {"status": "complete", "phase": "explore", "step": "search"}
    rewrite(storage, {"trial": "t001-3", "origin": "pbt:t000", "seed": 4, **kinds})
    with pytest.raises(BadInputError, match=r"took over from t000 after alternation 3, .* can't be run again"):
        again(storage, "t001-3")


def test_other_data_are_no_trial_again(storage: str) -> None:
    with pytest.raises(BadInputError, match="--dataset cars: night/t000 was on digits"):
        prepare_stage("train", StageOptions(from_trial="t000", storage=storage, dataset="cars"))


def test_the_command_is_all_that_is_printed_and_runs(storage: str, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    Path(storage).rename(tmp_path / "of mine")
    shown = run_here(monkeypatch, capsys, "show", "t001", "--command", "--storage", "of mine")
    assert (shown.code, shown.out, shown.err) == (
        0,
        "bissl-ray train --from-trial night/t001 --storage 'of mine'\n",
        "",
    )
    words = shlex.split(shown.out)[1:]
    done = run_here(monkeypatch, capsys, *words)
    assert done.code == 0 and "night/t001 again: head, bissl, as far as it went: 3 of 4 alternations" in done.out
    assert "night/t001 comes to what is stored, bit for bit: " in done.out and "Next:" not in done.out
    rewrite("of mine", {"trial": "t001", "objective": 0.5})
    other = run_here(monkeypatch, capsys, *words, "--name", "other")
    assert other.code == 1 and "does not come to what is stored: objective in the end, " in other.out
    known = run_here(monkeypatch, capsys, *words, "--name", "other")
    assert known.code == 1 and "has finished already" in known.out and "objective in the end, " in known.out
    assert (
        "\nTo run it again\nbissl-ray train --from-trial night/t001"
        in run_here(monkeypatch, capsys, "show", "t001", "--storage", "of mine").out
    )
