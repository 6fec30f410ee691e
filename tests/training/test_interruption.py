"""A trial that was stopped goes on from its own checkpoint as if nothing had happened."""

import pytest

from bissl_ray.models import load_checkpoint
from bissl_ray.progress import TrialPausedError, TrialStoppedError
from bissl_ray.search.plans import TEST_STAGES
from bissl_ray.training.files import HandedOver, SavedProgress, inherited_file, progress_file, read_tensors
from bissl_ray.training.tensors import DamagedTensorsError
from tests.training.small_trial import (
    START,
    Heard,
    Reports,
    assert_bit_equal,
    assert_ends_alike_wherever_stopped,
    changed,
    order,
    renamed,
    run,
    save_always,
    saved_models,
    tensors_of,
    without_clock,
    write_start,
)

pytestmark = pytest.mark.slow

# Reports 1-3 come after alternations, 4-8 from fine-tuning: report 1 stops a trial that has saved the end of its
# head's warm-up, 2 and 3 one within BiSSL, 4 one that has saved the end of BiSSL, the others one within fine-tuning.
LAST = 8
BYOL = {"pretext": "byol", "target_momentum": 0.7, "target_schedule": "cosine"}


@pytest.fixture(autouse=True)
def _every_moment_to_save_is_taken(monkeypatch):
    save_always(monkeypatch)


@pytest.mark.parametrize(("changes", "stops"), [({}, (1, 2, 3, 4, 6, LAST)), (BYOL, (2, 3))], ids=["simclr", "byol"])
def test_a_trial_stopped_at_any_report_ends_bit_equal(tmp_path, changes, stops):
    write_start(tmp_path, **changes)
    whole = order(tmp_path, alternations=3, **changes)
    every = Reports()
    expected = run(whole, reports=every)
    assert len(every) == LAST
    assert_ends_alike_wherever_stopped(whole, every, expected, stops)


def test_a_trial_stopped_again_and_again_ends_bit_equal(tmp_path):
    write_start(tmp_path)
    whole = order(tmp_path)
    expected = run(whole)
    again = renamed(whole, "hounded")
    attempts = 1
    while True:
        try:
            # At the second report of each attempt: every attempt gets one report further.
            found = run(again, reports=Reports(stop_at=2))
            break
        except TrialStoppedError:
            attempts += 1
    assert attempts == 7  # of its seven reports, the last one comes alone
    assert found == {**expected, "checkpoint": f"{again.folder}/finetuned.pt"}
    assert_bit_equal(saved_models(again), saved_models(whole))


def test_the_time_before_an_interruption_counts(tmp_path):
    write_start(tmp_path)
    what = order(tmp_path, stages=("head", "bissl"))
    with pytest.raises(TrialStoppedError):
        run(what, reports=Reports(2))
    progress = SavedProgress(what.storage, what.folder)
    content = progress.load()
    assert content is not None
    progress.save({**content, "seconds": 1000.0})
    rest = Reports()
    run(what, reports=rest)
    assert [row["alternation"] for row in rest] == [2]
    assert rest[0]["seconds"] > 1000.0


@pytest.mark.parametrize("of_another", [True, False], ids=["another trial's", "damaged"])
def test_progress_that_can_not_be_its_own_is_left_aside(tmp_path, of_another):
    write_start(tmp_path)
    what = order(tmp_path, stages=("head", "bissl"))
    expected = run(renamed(what, "alone"))
    with pytest.raises(TrialStoppedError):
        # As of a trial of that name whose row is lost.
        run(what if not of_another else order(tmp_path, what.stages, lower_lr=0.05), reports=Reports(2))
    if not of_another:
        path = tmp_path / progress_file(what.folder)
        path.write_bytes(path.read_bytes()[:-100])
    heard = Heard()
    found = run(what, reports=heard)
    assert found == {**expected, "checkpoint": f"{what.folder}/aligned.pt"} and len(heard) == 2
    (note,) = heard.notes
    assert note.startswith("t000 begins anew: ") and ("with other settings" if of_another else "is damaged") in note


def test_a_look_at_the_test_split_has_nothing_to_do_with_the_progress_of_the_run(tmp_path):
    write_start(tmp_path)
    what = order(tmp_path, stages=("head", "bissl", "finetune"))
    result = run(what)
    assert SavedProgress(what.storage, what.folder).load() is not None
    heard = Heard()
    look = what.model_copy(update={"stages": TEST_STAGES, "start": result["checkpoint"]})
    assert 0.0 <= run(look, reports=heard)["test_metric"] <= 1.0
    assert not heard.notes


def test_a_damaged_start_is_named(tmp_path):
    write_start(tmp_path)
    path = tmp_path / START
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedTensorsError, match=rf"{START} is damaged, or another program's \(.*checksum\): put"):
        run(order(tmp_path))


def test_a_finished_trial_leaves_models_and_what_it_would_go_on_from(tmp_path):
    write_start(tmp_path)
    what = order(tmp_path, stages=("head", "bissl"))
    result = run(what)
    # Whoever asked for it clears that when its end is on disk; asked for once more before, it comes to the same.
    progress = SavedProgress(what.storage, what.folder)
    assert progress.load() is not None
    again = run(what)
    assert (again["objective"], again["hvps"]) == (result["objective"], result["hvps"])
    progress.clear()
    assert progress.load() is None
    assert sorted(path.name for path in (tmp_path / what.folder).iterdir()) == ["aligned.pt"]
    loaded = load_checkpoint(tmp_path / result["checkpoint"])
    assert loaded.backbone and loaded.pretext and loaded.metadata["trial"] == what.trial


@pytest.mark.parametrize(("changes", "stops"), [({}, (1,)), (BYOL, (1, 2))], ids=["simclr", "byol"])
def test_pretraining_stopped_after_any_epoch_ends_bit_equal(tmp_path, changes, stops):
    def result(name, stop_after=None):
        what = order(tmp_path / name, stages=("pretrain",), **changes)
        rows = Reports(stop_after)
        run(what, reports=rows)
        losses = [(row["epoch"], row["train_loss"]) for row in rows]
        return losses, tensors_of(read_tensors(what.storage, START) or {})

    expected_losses, expected = result("whole")
    assert [epoch for epoch, _ in expected_losses] == [1, 2]
    assert {"backbone", "pretext"} == {name.split("/")[0] for name in expected}
    for stop_after in stops:
        name = f"stopped-{stop_after}"
        with pytest.raises(TrialStoppedError):
            result(name, stop_after)
        losses, found = result(name)
        assert losses == expected_losses[stop_after - 1 :]
        assert_bit_equal(found, expected)


def test_pretraining_that_an_earlier_version_was_interrupted_in_goes_on(tmp_path):
    """Its files don't say how many losses their sum is of."""

    def result(name, interrupted):
        what = order(tmp_path / name, stages=("pretrain",))
        if interrupted:
            with pytest.raises(TrialStoppedError):
                run(what, reports=Reports(1))
            progress = SavedProgress(what.storage, what.folder)
            content = progress.load()
            assert content is not None and 0 < content["state"].pop("counted") < 3
            progress.save(content)
        rows = Reports()
        run(what, reports=rows)
        return rows[-2:], tensors_of(read_tensors(what.storage, START) or {})

    (rows, tensors), (expected_rows, expected) = result("interrupted", True), result("whole", False)
    assert without_clock(rows) == without_clock(expected_rows)
    assert_bit_equal(tensors, expected)


@pytest.mark.parametrize("changes", [{}, {"method": "joint"}], ids=["bissl", "joint"])
def test_a_trial_that_pauses_at_rungs_has_the_curve_of_one_that_does_not(tmp_path, monkeypatch, changes):
    write_start(tmp_path, **changes)
    stages = ("head", "joint" if changes else "bissl")
    whole = order(tmp_path, stages, alternations=3, **changes)
    every = Reports()
    expected = run(whole, reports=every)
    # Where it pauses it saves, also where nothing is due.
    monkeypatch.setattr(SavedProgress, "due", False)
    part, heard = renamed(whole, "climbing"), Reports()
    for until in (1, 2):
        with pytest.raises(TrialPausedError):
            run(changed(part, until=until), reports=heard)
        assert len(heard) == until
    # Taken up again where it has paused, it runs nothing of what lies behind: the report is not repeated.
    found = run(part, reports=heard)
    assert found == {**expected, "checkpoint": f"{part.folder}/aligned.pt"}
    assert without_clock(heard) == without_clock(every)
    assert_bit_equal(saved_models(part), saved_models(whole))
    assert read_tensors(str(tmp_path), f"{part.folder}/.progress.pt") is None


def test_a_trial_that_takes_over_goes_on_as_the_other_would_have(tmp_path):
    write_start(tmp_path)
    stages = ("head", "bissl")
    donor = renamed(order(tmp_path, stages, alternations=3), "t001")
    before, after = Reports(), Reports()
    with pytest.raises(TrialPausedError):
        run(changed(donor, until=1), reports=before)
    handed = HandedOver(str(tmp_path), "small")
    assert not handed.has("t000-1")
    handed.hand_over("t001", "t000-1")
    assert handed.has("t000-1")
    expected = run(donor, reports=before)
    # The donor has gone on since; with its settings the heir has its curve and its models.
    heir = changed(renamed(donor, "t000-1"), inherits=True)
    with pytest.raises(TrialPausedError):
        run(changed(heir, until=2), reports=after)
    found = run(heir, reports=after)
    curve = ("alternation", "objective", "lower_loss", "upper_loss", "cg_residual", "distance")
    assert [[row[name] for name in curve] for row in after] == [[row[name] for name in curve] for row in before[1:]]
    assert_bit_equal(saved_models(heir), saved_models(donor))
    # What the donor had spent stays the donor's.
    assert found["hvps"] == sum(row["hvps"] for row in after) < expected["hvps"]
    assert found["alternations"] == 3
    SavedProgress(heir.storage, heir.folder).clear()
    assert not handed.has("t000-1")


def test_a_trial_that_takes_over_steps_at_its_own_rates(tmp_path):
    write_start(tmp_path)
    plain = {"alternations": 2, "lower_optimizer": "sgd", "lower_momentum": 0.5}  # LARS's momentum holds a rate itself
    donor = renamed(order(tmp_path, ("head", "bissl"), **plain), "t001")
    with pytest.raises(TrialPausedError):
        run(changed(donor, until=1))
    handed = HandedOver(str(tmp_path), "small")

    def moved(name, **rates):
        heir = renamed(order(tmp_path, ("head", "bissl"), **plain, **rates), name)
        handed.hand_over("t001", name)
        paused = read_tensors(str(tmp_path), inherited_file(heir.folder))["models"]["backbone"]
        run(changed(heir, inherits=True))
        ended = read_tensors(str(tmp_path), f"{heir.folder}/aligned.pt")["backbone"]
        weights = [weight for weight in paused if "running" not in weight and "num_batches" not in weight]
        return max(float((ended[weight] - paused[weight]).abs().max()) for weight in weights)

    assert moved("t000-1", lower_lr=1e-9) < 1e-6 < moved("t002-1")


def test_a_trial_whose_forerunner_left_nothing_says_so(tmp_path):
    write_start(tmp_path)
    heir = changed(renamed(order(tmp_path, ("head", "bissl")), "t000-1"), inherits=True)
    with pytest.raises(FileNotFoundError, match="another's place"):
        run(heir)
