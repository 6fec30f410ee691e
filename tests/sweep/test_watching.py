"""A sweep watched by its storage alone: the rows that the real writer leaves, and the claim of who runs it."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bissl_ray.config.data_choice import DataChoice
from bissl_ray.config.documents import Session
from bissl_ray.config.requests import SweepRequest
from bissl_ray.config.setting_rules import parameter_types
from bissl_ray.errors import BadInputError
from bissl_ray.store import SweepWriter
from bissl_ray.store.documents import read_sweep_document, write_document
from bissl_ray.store.lock import locked
from bissl_ray.store.paths import sweep_documents
from bissl_ray.sweep.watching import watch_sweep
from bissl_ray.words import Status
from tests.cli.command import run_here
from tests.s3.stand_in import BUCKET, stand_in
from tests.search.small_space import space, store_rows
from tests.search.whole_sweep import WholeSweep
from tests.sweep.stored_sweep import write_sweep
from tests.views import Seen

SPACE = space()
REQUEST = SweepRequest(name="night", data=DataChoice("digits"), space=SPACE)


@pytest.fixture
def whole() -> WholeSweep:
    return WholeSweep(SPACE).run()


def begun(storage: Path, whole: WholeSweep, trials: int) -> WholeSweep:
    """What is stored when so many trials have begun, the last of which runs."""
    rest = list(whole.records.values())[trials:]
    for record in rest:
        del whole.planner.ledger.records[record.trial]
    last = whole.records[list(whole.records)[-1]]
    last.status, last.objective = Status.RUNNING, None
    write_sweep(storage, whole, REQUEST, objective_name="validation_top1")
    session = Session(began_at=datetime.now(UTC).isoformat(), where="this machine", groups=2, budget_seconds=3600.0)
    write_document(storage, "night", read_sweep_document(storage, "night").changed(session=session))
    return whole


def watch(
    storage: Path | str, after: Callable[[Seen], None] = lambda seen: None, every: float = 0.01
) -> tuple[Seen, object]:
    """Watch until it ends; `after` is called with what has been seen, each time there is something new."""
    left = threading.Event()
    seen = Seen(then=lambda event: after(seen))
    seen.left = left  # type: ignore[attr-defined]
    return seen, watch_sweep(str(storage), "night", seen, 0.01, left)


def test_a_sweep_that_has_ended_is_told_at_once(tmp_path, whole):
    write_sweep(tmp_path, whole, REQUEST)
    seen, outcome = watch(tmp_path)
    assert outcome.finished and outcome.problem is None
    assert seen.progress[-1].done == seen.progress[-1].total == len(whole.records)


def test_one_that_nobody_runs_is_interrupted(tmp_path, whole):
    begun(tmp_path, whole, 3)
    seen, outcome = watch(tmp_path)
    assert not outcome.finished
    (last,) = seen.progress
    assert (last.phase, last.done, last.running, last.left) == ("exploring", 2, 0, None)


def test_one_that_runs_is_shown_as_its_rows_come_until_it_is_left(tmp_path, whole):
    begun(tmp_path, whole, 3)
    rows = store_rows(list(whole.records.values()), SPACE)[0]

    def goes_on(seen: Seen) -> None:
        if len(seen.progress) == 1:
            writer.report({"trial": "t002", "stage": "bissl", "alternation": 1, "objective": 0.5, "seconds": 2.0})
        elif len(seen.progress) == 2:
            writer.trial({**rows[-1], "status": "pruned", "status_reason": "ASHA: behind", "objective": 0.5})
        else:
            seen.left.set()

    with (
        locked(str(tmp_path), sweep_documents("night"), "the sweep"),
        SweepWriter(tmp_path, "digits", "night", parameter_types()) as writer,
    ):
        seen, outcome = watch(tmp_path, goes_on)
    assert outcome is None
    first, second, third = seen.progress
    assert (first.running, first.slots, first.dataset, first.objective_name) == (1, 2, "digits", "validation_top1")
    assert 0 <= first.budget.used < 60 and first.budget.limit == 3600.0
    assert second.tracks()["t002"].scores == [0.5] and second.left is not None
    assert (third.done, third.pruned, third.running) == (3, 1, 0)


def test_files_are_read_once_however_often_one_looks(tmp_path, whole, monkeypatch):
    begun(tmp_path, whole, 3)
    from bissl_ray.store import feed

    read, listed = [], []
    real_read, real_list = feed.read_files, feed.list_files
    monkeypatch.setattr(feed, "read_files", lambda fs, files: (read.extend(files), real_read(fs, files))[1])
    monkeypatch.setattr(feed, "list_files", lambda *where: (listed.append(where), real_list(*where))[1])
    left = threading.Event()
    with locked(str(tmp_path), sweep_documents("night"), "the sweep"):
        looks = threading.Timer(0.5, left.set)
        looks.start()
        assert watch_sweep(str(tmp_path), "night", Seen(), 0.01, left) is None
    assert len(listed) > 10 and len(read) == len({stored.path for stored in read})


def test_a_budget_that_ended_exploring_ends_it_for_who_watches(tmp_path):
    few = WholeSweep(SPACE)
    few.run(lambda sweep: sweep.planner.end_exploring("the budget is spent") if len(sweep.records) >= 4 else None)
    assert len(few.of("explore", "search")) == 4
    write_sweep(tmp_path, few, REQUEST)
    seen, outcome = watch(tmp_path)
    assert outcome.finished and seen.progress[-1].total == len(few.records)


def test_what_is_damaged_is_said(tmp_path, whole):
    begun(tmp_path, whole, 3)
    (tmp_path / "results/dataset=digits/sweep=night/trials-0-broken.parquet").write_bytes(b"broken")
    seen, _ = watch(tmp_path)
    assert "trials-0-broken.parquet, which can't be read" in seen.progress[0].trouble


def test_a_storage_that_refuses_later_is_tried_again(tmp_path, whole, monkeypatch):
    begun(tmp_path, whole, 3)
    from bissl_ray.store import feed

    real, refuses = feed.list_files, False

    def listing(*where):
        if refuses:
            raise OSError(5, "Input/output error")
        return real(*where)

    def after(seen: Seen) -> None:
        nonlocal refuses
        refuses = len(seen.progress) == 1
        if len(seen.progress) == 3:
            seen.left.set()

    monkeypatch.setattr(feed, "list_files", listing)
    with locked(str(tmp_path), sweep_documents("night"), "the sweep"):
        seen, outcome = watch(tmp_path, after)
    assert outcome is None
    assert seen.progress[1].trouble.startswith("the storage can't be read at the moment")
    assert replace(seen.progress[2], trouble=None).done == 2 and seen.progress[2].trouble is None


def test_there_is_no_such_sweep(tmp_path, whole):
    write_sweep(tmp_path, whole, REQUEST)
    with pytest.raises(BadInputError, match=r"no sweep 'nigth'.*night"):
        watch_sweep(str(tmp_path), "nigth", Seen(), 0.01, threading.Event())


def test_the_verb_says_how_it_ended(tmp_path, whole, monkeypatch, capsys):
    write_sweep(tmp_path / "done", whole, REQUEST, objective_name="validation_top1")
    done = run_here(monkeypatch, capsys, "watch", "night", "--storage", tmp_path / "done")
    assert done.code == 0 and "26 of 26 done" in done.out.splitlines()[0]
    assert "No difference beyond seed noise on digits" in done.out
    begun(tmp_path / "cut", WholeSweep(SPACE).run(), 3)
    cut = run_here(monkeypatch, capsys, "watch", "night", "--storage", tmp_path / "cut")
    assert cut.code == 130
    said = f"night: interrupted, go on with `bissl-ray resume night --storage {tmp_path / 'cut'}`"
    assert cut.out.splitlines()[-1] == said
    refused = run_here(monkeypatch, capsys, "watch", "night", "--storage", tmp_path / "none")
    assert refused.code == 2 and "it holds no sweep yet" in refused.err
    assert run_here(monkeypatch, capsys, "watch", "night", "--every", "0").code == 2


@pytest.mark.slow
def test_it_reads_an_object_store(whole, monkeypatch):
    with stand_in() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        storage = f"s3://{BUCKET}/runs"
        write_sweep(storage, whole, REQUEST)
        seen, outcome = watch(storage)
    assert outcome.finished and seen.progress[-1].done == len(whole.records)
