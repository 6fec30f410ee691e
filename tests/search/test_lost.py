"""What a sweep does about rows that lie in files which can't be read: nothing is doubled, no name given away."""

from pathlib import Path

import pytest

from bissl_ray.config.data_choice import DataChoice
from bissl_ray.config.requests import SweepRequest
from bissl_ray.config.setting_rules import parameter_types
from bissl_ray.search.history import replay
from bissl_ray.search.lost import missing_reports
from bissl_ray.search.records import Record
from bissl_ray.store import SweepWriter
from bissl_ray.store.paths import trial_folder
from bissl_ray.sweep.lost import take_up
from bissl_ray.training.files import exists, progress_file, write_tensors
from bissl_ray.words import Phase, Status, Step
from tests.search.small_space import space, store_rows
from tests.search.whole_sweep import WholeSweep

NIGHT = SweepRequest(name="night", data=DataChoice(dataset="digits"), space=space())


def write(storage: Path, records: list[Record], **more: object) -> dict[str, Path]:
    """A file of its own for the row of each trial, and one for all reports; the files, by trial."""
    trials, reports = store_rows(records, NIGHT.space)
    files: dict[str, Path] = {}
    # As it stands while the sweep is under way: closed, all would be merged.
    writer = SweepWriter(storage, "digits", "night", parameter_types())
    for row in trials:
        writer.trial({**row, **more})
        writer.flush()
        (files[row["trial"]],) = {*storage.rglob("trials-*.parquet")} - {*files.values()}
    finetuned = [record for record in records if record.step != Step.SEARCH]
    reports += [{"trial": r.trial, "stage": "finetune", "epoch": 1, "objective": r.objective} for r in finetuned]
    for report in reports:
        writer.report(report)
    writer.flush()
    return files


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def test_trials_whose_rows_are_lost_run_again_and_none_is_doubled(tmp_path: Path) -> None:
    whole = WholeSweep(NIGHT.space).run()
    for record in whole.of("explore", "search"):
        record.curve = {1: 0.1, 2: record.objective or 0.0}
    kept = [record for record in whole.records.values() if record.step == "search" or record.trial.endswith("-f0")]
    files = write(tmp_path, kept)
    lost = ["t001", "control-f0", next(name for name in files if name.startswith("t") and name.endswith("-f0"))]
    for name in lost:
        damage(files[name])

    found = replay(NIGHT, str(tmp_path))
    assert found.lost.rowless == {*lost} and found.lost.explored == ["t001"]
    lines = list(take_up(found, str(tmp_path), "night"))
    assert {line.partition(",")[0] for line in lines[:-1]} == {f"skipped {files[name]}" for name in lost}
    assert lines[-1] == (
        f"because of that run again from the beginning: {', '.join(sorted(lost[1:]))}; "
        "are replaced by other trials: t001"
    )
    sweep = WholeSweep(NIGHT.space)
    found.planner._proposer = sweep.proposer
    sweep.planner = found.planner
    sweep.run()
    ran = [plan.record.trial for plan in sweep.started if plan.stages != ("test",)]
    assert len(ran) == len({*ran}) and not {*ran} & ({*files} - {*lost})
    assert {*lost[1:]} <= {*ran} and "t001" not in ran and sweep.proposer.asked == ["t006"]
    assert len(sweep.of("explore", "search")) == NIGHT.space.protocol.trials
    assert sweep.planner.finished
    again = replay(NIGHT, str(tmp_path))
    assert again.planner.ledger.new_name() == "t006"


@pytest.mark.parametrize("status", ["running", "paused"])
def test_where_trials_pause_one_whose_reports_are_lost_begins_anew(tmp_path: Path, status: str) -> None:
    curve = {1: 0.1, 2: 0.3, 3: 0.2}
    record = Record("t000", Phase.EXPLORE, Step.SEARCH, None, 0, {}, "tpe", Status(status), 0.2, curve=curve)
    write(tmp_path, [record], alternations=3)
    (file,) = tmp_path.rglob("reports-*.parquet")
    progress = progress_file(trial_folder("night", "t000"))
    write_tensors(str(tmp_path), progress, {})
    request = SweepRequest(name="night", data=NIGHT.data, space=space({"at_a_rung": "pause"}))
    found = replay(request, str(tmp_path))
    assert not found.lost.anew and found.planner.records["t000"].curve == curve
    assert list(take_up(found, str(tmp_path), "night")) == [] and exists(str(tmp_path), progress)

    damage(file)
    # Where they don't, it tells again what it had told when it goes on.
    found = replay(NIGHT, str(tmp_path))
    lines = list(take_up(found, str(tmp_path), "night"))
    assert lines[-1] == "because of that nothing runs again that has left any trace" and exists(str(tmp_path), progress)
    found = replay(request, str(tmp_path))
    lines = list(take_up(found, str(tmp_path), "night"))
    assert lines[-1] == "because of that run again from the beginning: t000"
    plan = found.planner.next()
    assert plan is not None and (plan.record.trial, plan.record.at) == ("t000", 0)
    assert not exists(str(tmp_path), progress)


@pytest.mark.parametrize(
    ("trial", "alternations", "told", "objective", "missing"),
    [
        ("t000", 3, {1: 0.1, 2: 0.2, 3: 0.3}, 0.3, None),
        ("t000", None, {}, None, None),
        ("t000", 4, {1: 0.1, 2: 0.2, 4: 0.3}, 0.3, "the report of alternation 3 is missing"),
        ("t000", 8, {1: 0.1}, 0.3, "reports of alternations 2, 3, 4, 5 and 3 more are missing"),
        ("t000-2", 3, {3: 0.3}, 0.3, None),  # took over after the second
        ("t000", 2, {1: 0.1, 2: 0.2}, 0.3, "the report of its objective, 0.3, is missing"),
        ("t000", 2, {1: 0.1, 2: 0.2}, float("nan"), None),
        ("t000", 2, {1: 0.1, 2: 0.2, 3: 0.3}, 0.2, None),  # the row is the older
    ],
)
def test_which_reports_are_missing(trial, alternations, told, objective, missing) -> None:
    row = {"trial": trial, "status": "pruned", "step": "search", "alternations": alternations, "objective": objective}
    reports = [{"stage": "bissl", "alternation": number, "objective": score} for number, score in told.items()]
    assert missing_reports(row, reports) == missing
