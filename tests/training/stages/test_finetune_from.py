"""Which backbone fine-tuning starts from after BiSSL: the lower one, or the upper one, as a file and as a candidate."""

import pytest
import torch

from bissl_ray.errors import BadInputError
from bissl_ray.models import load_checkpoint
from bissl_ray.training.files import read_tensors, write_tensors
from bissl_ray.training.worker import Worker
from tests.processes import run_workers
from tests.training.small_trial import (
    Reports,
    assert_bit_equal,
    assert_ends_alike_wherever_stopped,
    changed,
    order,
    renamed,
    run,
    save_always,
    saved_models,
    without_clock,
    write_start,
)

pytestmark = pytest.mark.slow

UPPER = {"finetune_from": "upper"}


def saved(what, name):
    content = read_tensors(what.storage, f"{what.folder}/{name}.pt")
    assert content is not None
    return content


def test_without_a_step_the_upper_model_itself_is_the_candidate(tmp_path):
    write_start(tmp_path)
    found = {}
    for which in ("upper", "lower"):
        whole = renamed(order(tmp_path, finetune_from=which, finetune_epochs=0), which)
        rows = Reports()
        result = run(whole, reports=rows)
        assert [row["stage"] for row in rows] == ["bissl", "bissl", "finetune"]
        aligned, finetuned = saved(whole, "aligned"), saved(whole, "finetuned")
        assert_bit_equal(finetuned["backbone"], aligned["upper" if which == "upper" else "backbone"])
        assert_bit_equal(finetuned["downstream"], aligned["downstream"])
        assert finetuned["metadata"]["statistics"] == "those that fine-tuning began with"
        found[which] = (result["objective"], rows[1]["objective"])
    # What the last report of BiSSL scored.
    assert found["upper"][0] == found["upper"][1] == found["lower"][1]
    assert not torch.equal(aligned["upper"]["stem.0.weight"], aligned["backbone"]["stem.0.weight"])


@pytest.mark.parametrize("epochs", [0, 1])
def test_a_trial_of_its_own_equals_it_at_the_end_of_the_whole(tmp_path, epochs):
    write_start(tmp_path)
    whole = order(tmp_path, finetune_epochs=epochs, **UPPER)
    result = run(whole)
    tuning = renamed(order(tmp_path, stages=("finetune",), finetune_epochs=epochs, **UPPER), "tuning")
    tuning = changed(tuning, start=f"{whole.folder}/aligned.pt")
    assert run(tuning)["objective"] == result["objective"]
    assert_bit_equal(saved(tuning, "finetuned")["backbone"], saved(whole, "finetuned")["backbone"])


def test_without_bissl_it_changes_nothing(tmp_path):
    write_start(tmp_path)
    controls = [
        renamed(order(tmp_path, stages=("head", "finetune"), finetune_from=which), which)
        for which in ("lower", "upper")
    ]
    rows = [Reports(), Reports()]
    results = [run(each, reports=own) for each, own in zip(controls, rows, strict=True)]
    assert results[0]["objective"] == results[1]["objective"] and without_clock(rows[0]) == without_clock(rows[1])
    assert_bit_equal(saved_models(controls[1]), saved_models(controls[0]))


def test_a_resumed_run_ends_bit_equal(tmp_path, monkeypatch):
    save_always(monkeypatch)
    write_start(tmp_path)
    # Held near its start, which is θ_D here: what is saved must not take θ for it.
    whole = order(tmp_path, finetune_epochs=2, finetune_l2_sp=1.0, **UPPER)
    every = Reports()
    result = run(whole, reports=every)
    assert_ends_alike_wherever_stopped(whole, every, result, (2, 3, 4, len(every)))


def rows_of(rank, workers, storage):
    rows = Reports()
    what = renamed(order(storage, finetune_l2_sp=0.5, finetune_layer_decay=0.5, **UPPER), f"on-{workers}")
    run(what, Worker(rank, workers, torch.device("cpu")), rows)
    return [(row["stage"], row.get("train_loss"), row["objective"]) for row in rows]


def test_two_workers_do_what_one_does(tmp_path):
    write_start(tmp_path)
    expected = rows_of(0, 1, str(tmp_path))
    first, second = run_workers(rows_of, 2, str(tmp_path))
    assert first == second
    for (stage, loss, score), (wanted, other, best) in zip(first, expected, strict=True):
        assert stage == wanted
        assert score == pytest.approx(best, abs=2.1 / 300)
        if stage == "finetune":
            assert loss == pytest.approx(other, rel=1e-5)


def test_a_file_of_before_holds_no_upper_backbone(tmp_path):
    write_start(tmp_path)
    whole = order(tmp_path, stages=("head", "bissl"))
    run(whole)
    content = saved(whole, "aligned")
    read = load_checkpoint(tmp_path / whole.folder / "aligned.pt")
    assert_bit_equal(read.backbone, content["backbone"])
    assert read.upper is not None
    assert_bit_equal(read.upper, content["upper"])
    del content["upper"]
    write_tensors(str(tmp_path), "earlier/aligned.pt", content)
    assert load_checkpoint(tmp_path / "earlier/aligned.pt").upper is None
    tuning = changed(renamed(order(tmp_path, stages=("finetune",)), "tuning"), start="earlier/aligned.pt")
    new = changed(renamed(tuning, "new"), start=f"{whole.folder}/aligned.pt")
    assert run(tuning)["objective"] == run(new)["objective"]
    asked = renamed(tuning.model_copy(update={"settings": tuning.settings.model_copy(update=UPPER)}), "asked")
    with pytest.raises(BadInputError, match=r"finetune_from is upper, and earlier/aligned.pt holds the lower backbone"):
        run(asked)
