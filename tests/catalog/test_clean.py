"""What `clean` takes, nothing misses: no row is lost, nothing is damaged for it, and what names a file keeps it."""

from pathlib import Path
from typing import Any

import pytest

from bissl_ray.catalog.clean import clean, plan_cleaning
from bissl_ray.catalog.stock import Stock
from bissl_ray.config.data_choice import DataChoice
from bissl_ray.config.documents import SweepDocument
from bissl_ray.config.requests import CheckpointChoice, SweepRequest
from bissl_ray.config.setting_rules import parameter_types
from bissl_ray.errors import BadInputError
from bissl_ray.export.choice import choose_run
from bissl_ray.leaderboard import verdicts
from bissl_ray.preflight.doctor.check import check_storage
from bissl_ray.store import SweepWriter, read_trials, to_rows
from bissl_ray.store.documents import write_document
from bissl_ray.store.lock import locked
from bissl_ray.words import Step
from tests.search.small_space import space, store_rows
from tests.search.whole_sweep import WholeSweep

START = "pretrained/digits-0a1b2c3d4e5f.pt"


def fill(storage: str, name: str = "night", keep_until: int | None = None, **asked: Any) -> WholeSweep:
    """A sweep with the files that its trials leave; `keep_until`: cut off after so many starts."""
    own = space()
    request = SweepRequest(name=name, data=DataChoice(dataset="digits"), space=own, **asked)
    write_document(storage, name, SweepDocument(request=request, start=START))
    sweep = WholeSweep(own).run()
    records = list(sweep.records.values()) if keep_until is None else sweep.snapshots[keep_until]
    with SweepWriter(storage, "digits", name, parameter_types()) as writer:
        for row in store_rows(records, own)[0]:
            file = {Step.SEARCH: "aligned.pt", Step.SEEDS: "finetuned.pt"}.get(row["step"])
            folder = f"sweeps/{name}/checkpoints/{row['trial']}"
            if file is not None and row["status"] == "complete":
                put(storage, f"{folder}/{file}")
                row["checkpoint"] = f"{folder}/{file}"
            writer.trial(row)
    put(storage, START)
    return sweep


def put(storage: str, path: str) -> None:
    file = Path(storage) / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(bytes(1000))


@pytest.fixture
def storage(tmp_path: Path) -> str:
    return str(tmp_path / "runs")


def cleaned(storage: str, name: str | None = None) -> list[str]:
    stock = Stock(storage)
    return [each.path for each in clean(stock, plan_cleaning(stock, name))]


def test_models_of_explored_trials_go_and_their_rows_say_so(storage: str) -> None:
    sweep = fill(storage)
    before, found = to_rows(read_trials(storage)), verdicts(to_rows(read_trials(storage)))
    finalists = {record.trial for record in sweep.planner.finalists()}
    going = {f"sweeps/night/checkpoints/{r.trial}/aligned.pt" for r in sweep.of("explore", "search")} - {
        f"sweeps/night/checkpoints/{name}/aligned.pt" for name in finalists
    }
    planned = plan_cleaning(Stock(storage))
    assert {each.path for each in planned.files} == going and len(going) == 4
    assert {*cleaned(storage)} == going
    after = to_rows(read_trials(storage))
    gone = {row["trial"] for row in before} & {row["trial"] for row in after if row["checkpoint"] is None}
    for one, other in zip(before, after, strict=True):
        if one["checkpoint"] in going:
            assert other["checkpoint"] is None and one["trial"] in gone
        alike = {name for name in one if name not in ("checkpoint", "updated_at")}
        assert {name: one[name] for name in alike} == {name: other[name] for name in alike}
    assert verdicts(after) == found
    assert choose_run(storage).row["checkpoint"] is not None
    assert not [each for each in check_storage(storage, quick=True).findings if each.what == "models"]
    assert cleaned(storage) == []


def test_a_sweep_that_goes_on_keeps_what_may_yet_be_tuned(storage: str) -> None:
    sweep = fill(storage, keep_until=9)  # five trials have ended
    best = sorted(sweep.of("explore", "search")[:4], key=lambda record: -(record.objective or 0.0))[:2]
    put(storage, "sweeps/night/checkpoints/t005/progress.pt")
    gone = cleaned(storage, "night")
    assert gone and not {f"sweeps/night/checkpoints/{record.trial}/aligned.pt" for record in best} & {*gone}
    assert (Path(storage) / "sweeps/night/checkpoints/t005/progress.pt").exists()


def test_leftovers_of_processes_go(storage: str) -> None:
    fill(storage)
    cleaned(storage)
    for path in (
        "sweeps/night/.sweep.json.0a1b2c3d",
        "sweeps/night/checkpoints/t000/progress.pt",
        "sweeps/night/ray/x",
    ):
        put(storage, path)
    assert cleaned(storage) == [
        *("sweeps/night/checkpoints/t000/progress.pt", "sweeps/night/.sweep.json.0a1b2c3d", "sweeps/night/ray/"),
    ]
    assert cleaned(storage) == []


def test_pretrained_models_go_where_no_sweep_starts_from_them(storage: str) -> None:
    fill(storage)
    put(storage, "pretrained/digits-ffffffffffff.pt")
    assert "pretrained/digits-ffffffffffff.pt" in cleaned(storage)
    assert (Path(storage) / START).exists()


def test_what_another_document_names_stays(storage: str) -> None:
    fill(storage)
    going = [each.path for each in plan_cleaning(Stock(storage)).files]
    theirs = CheckpointChoice(file=f"{storage}/{going[0]}")
    fill(storage, "other", pretrained=theirs)
    assert going[0] not in cleaned(storage) and (Path(storage) / going[0]).exists()


def test_what_runs_is_left_alone_and_refused_by_name(storage: str) -> None:
    fill(storage)
    put(storage, "pretrained/digits-ffffffffffff.pt")
    with locked(storage, "sweeps/night", "sweep night"):
        plan = plan_cleaning(Stock(storage))
        assert plan.files == [] and plan.kept[0].startswith("sweep night is being run by process ")
        with pytest.raises(BadInputError, match="night is being run by process"):
            plan_cleaning(Stock(storage), "night")


def test_a_sweep_with_rows_that_cannot_be_read_is_left_as_it_is(storage: str) -> None:
    fill(storage)
    (path,) = Path(storage).rglob("trials-*.parquet")
    path.write_bytes(path.read_bytes()[:-9])
    plan = plan_cleaning(Stock(storage))
    assert plan.files == [] and plan.kept[0].startswith("sweep night is left as it is: skipped ")


def test_where_a_document_cannot_be_read_nothing_is_removed(storage: str) -> None:
    fill(storage)
    (Path(storage) / "sweeps/night/sweep.json").write_text("{")
    with pytest.raises(BadInputError, match="what it needs is not known, so nothing is removed"):
        plan_cleaning(Stock(storage))
