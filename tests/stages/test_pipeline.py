"""The stages one after another, each by itself: what they write, and what they start from."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bissl_ray.config.options import StageOptions
from bissl_ray.errors import BadInputError, RunFailedError
from bissl_ray.models import load_checkpoint
from bissl_ray.stages.prepare import prepare_stage
from tests.stages.stage_runs import Seen, file, run

pytestmark = pytest.mark.slow

LONGER = ("head_epochs=20", "head_lr=0.3")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All stages, run once."""
    folder = tmp_path_factory.mktemp("pipeline")
    run(folder, "pretrain", "pretrain", "pretrain_epochs=3")
    run(folder, "train", "train", *LONGER, start=file(folder, "pretrain"))
    run(folder, "finetune", "finetune", *LONGER, start=file(folder, "train"))
    return folder


def document(folder: Path, name: str) -> dict:
    return json.loads((folder / "runs/stages" / name / "stage.json").read_text())


@pytest.mark.parametrize(
    ("name", "files", "stages"),
    [
        ("pretrain", ["pretrained.pt", "stage.json"], ["pretrain"]),
        ("train", ["aligned.pt", "stage.json"], ["head", "bissl"]),
        ("finetune", ["finetuned.pt", "stage.json"], ["finetune"]),
    ],
)
def test_a_stage_leaves_a_model_and_a_document(folder: Path, name: str, files: list[str], stages: list[str]) -> None:
    assert sorted(path.name for path in (folder / "runs/stages" / name).iterdir()) == files
    said = document(folder, name)
    assert said["status"] == "complete" and said["stages"] == stages
    assert said["settings"]["pretrain_lr"] == {"value": 0.5, "from": str(folder / "tiny.yaml")}
    assert said["settings"]["temperature"] == {"value": 0.5, "from": "default"}
    assert said["result"]["checkpoint"] == f"stages/{name}/{files[0]}"
    assert said["data"]["classes"] == 10 and said["data"]["validation"] == 300 and said["versions"]
    made = load_checkpoint(file(folder, name))
    assert made.metadata["fingerprint"] == said["fingerprint"] != said["labelled_fingerprint"]
    assert made.metadata["labelled_fingerprint"] == said["labelled_fingerprint"]
    assert (made.downstream is None) == (name == "pretrain")


def test_known_good_points_and_the_command_line_are_named_as_origins(folder: Path) -> None:
    settings = document(folder, "train")["settings"]
    assert settings["upper_lr"] == {"value": 0.1, "from": f"{folder / 'tiny.yaml'}, known-good point 1"}
    assert settings["head_epochs"] == {"value": 20, "from": "--set"}


def test_finetuning_of_a_pretrained_backbone_begins_with_a_head(folder: Path) -> None:
    view = Seen()
    run(folder, "finetune", "conventional", *LONGER, start=file(folder, "pretrain"), view=view)
    assert document(folder, "conventional")["stages"] == ["head", "finetune"]
    assert view.rows[-1]["epoch"] == 2
    more = Seen()
    what = {"control_budget": True}
    run(folder, "finetune", "control", start=file(folder, "pretrain"), view=more, what=what)
    # 4 alternations of 2 upper steps on 16 images are 128 images: 7 steps of 20 on top of 10.
    assert more.rows[-1]["epoch"] == 4


def test_without_another_word_the_dataset_is_that_of_the_checkpoint(folder: Path, tmp_path: Path) -> None:
    content = torch.load(file(folder, "pretrain"), weights_only=True)
    content["metadata"]["dataset"] = "cars"
    torch.save(content, tmp_path / "made.pt")
    flags = StageOptions(start=str(tmp_path / "made.pt"))
    assert prepare_stage("finetune", flags)[0].dataset == "cars"
    assert prepare_stage("finetune", replace(flags, dataset="digits"))[0].dataset == "digits"


def test_the_way_to_a_head_is_a_command_that_works(folder: Path) -> None:
    with pytest.raises(BadInputError) as refused:
        run(folder, "evaluate", "none", "loader_processes=0", start=file(folder, "pretrain"), what={"ways": ("score",)})
    said = re.search(r"\((bissl-ray finetune .*?)\)", str(refused.value))
    assert said is not None
    assert said[1] == f"bissl-ray finetune --start {file(folder, 'pretrain')} --dataset digits --set loader_processes=0"


def test_evaluation_takes_the_settings_that_the_checkpoint_was_made_with(folder: Path) -> None:
    result = run(folder, "evaluate", "scores", start=file(folder, "finetune"), what={"ways": ("score",)}).result
    assert result["metrics"]["model"]["top1"] == document(folder, "finetune")["result"]["objective"]
    assert document(folder, "scores")["settings"]["image_size"] == {"value": 8, "from": "made so: finetuned.pt"}
    assert not document(folder, "scores")["test_split_looked_at"]


def test_a_look_at_the_test_split_is_written_down(folder: Path) -> None:
    what = {"ways": ("score",), "split": "test"}
    result = run(folder, "evaluate", "on-test", start=file(folder, "finetune"), what=what).result
    top1 = result["metrics"]["model"]["top1"]
    assert top1 * 597 == pytest.approx(round(top1 * 597), abs=1e-6)
    assert document(folder, "on-test")["test_split_looked_at"] is True


def test_a_finished_run_is_not_run_again(folder: Path) -> None:
    view = Seen()
    before = document(folder, "finetune")
    again = run(folder, "finetune", "finetune", *LONGER, start=file(folder, "train"), view=view)
    assert again.before and again.result == before["result"]
    assert view.rows == [] and document(folder, "finetune") == before


@pytest.mark.parametrize(
    ("stage", "name", "assignments", "flags", "expected"),
    [
        ("train", "finetune", LONGER, {}, "here stage train instead of finetune"),
        ("finetune", "finetune", (*LONGER, "finetune_lr=0.5"), {}, "here finetune_lr 0.5 instead of 0.03"),
        ("finetune", "finetune", LONGER, {"seed": 3}, "here seed 3 instead of 0"),
    ],
)
def test_a_name_that_is_taken(folder: Path, stage: str, name: str, assignments, flags, expected: str) -> None:
    with pytest.raises(BadInputError, match=expected):
        run(folder, stage, name, *assignments, start=file(folder, "train"), **flags)


def test_a_model_without_a_head_can_not_be_scored(folder: Path) -> None:
    with pytest.raises(BadInputError, match=r"has no head for digits: fine-tune it first .*--knn or --linear-probe"):
        run(folder, "evaluate", "headless", start=file(folder, "pretrain"), what={"ways": ("score",)})
    assert not (folder / "runs/stages/headless").exists()


def test_a_checkpoint_of_another_split_is_said_to_be(folder: Path) -> None:
    content = torch.load(file(folder, "finetune"), weights_only=True)
    other = folder / "other.pt"
    made = {**content["metadata"], "split_seed": 5, "labelled_fingerprint": "other"}
    torch.save({**content, "metadata": made}, other)
    view = Seen()
    run(folder, "evaluate", "leak", start=str(other), view=view, what={"ways": ("score",)})
    assert any("was made with another split of digits" in line for line in view.notes)
    assert document(folder, "leak")["request"]["data"]["split_seed"] == 5


def test_a_head_for_other_classes_is_no_head(folder: Path) -> None:
    made = torch.load(file(folder, "finetune"), weights_only=True)
    assert made["metadata"]["class_names"] == [str(digit) for digit in range(10)]
    other = folder / "other-classes.pt"
    torch.save({**made, "metadata": {**made["metadata"], "class_names": [*"abcdefghij"]}}, other)
    with pytest.raises(BadInputError, match="has a head for other classes of digits than are found here: fine-tune"):
        run(folder, "evaluate", "others", start=str(other), what={"ways": ("score",)})
    view = Seen()
    run(folder, "finetune", "again", "head_epochs=1", start=str(other), view=view)
    assert any(line.endswith("fine-tuning begins with a fresh one") for line in view.notes)
    assert document(folder, "again")["stages"] == ["head", "finetune"]


def test_a_stage_says_where_validation_came_from(folder: Path) -> None:
    view = Seen()
    run(folder, "evaluate", "said", start=file(folder, "finetune"), view=view, what={"ways": ("score",)})
    assert any(line.startswith("data: 10 classes; ") and "; validation drawn, seed 0; " in line for line in view.notes)
    assert document(folder, "said")["validation_from"] == "drawn, seed 0"
    assert not any("another split" in line for line in view.notes)


def test_an_evaluation_takes_the_index_files_that_the_checkpoint_was_made_with(folder: Path, tmp_path: Path) -> None:
    content = torch.load(file(folder, "finetune"), weights_only=True)
    made = {**content["metadata"], "dataset": "cars", "splits_dir": str(tmp_path)}
    torch.save({**content, "metadata": made}, tmp_path / "made.pt")
    flags = StageOptions(start=str(tmp_path / "made.pt"))
    assert prepare_stage("evaluate", flags, ways=("score",))[0].data.splits_dir is None
    (tmp_path / "cars_val_split.txt").write_text("0\n")
    assert prepare_stage("evaluate", flags, ways=("score",))[0].data.splits_dir == str(tmp_path)


def test_a_run_that_diverges_says_so(folder: Path) -> None:
    with pytest.raises(RunFailedError, match=r"\b(nan|inf)\b"):
        run(folder, "finetune", "wild", "finetune_lr=1e30", "clip_norm=null", start=file(folder, "train"))
    said = document(folder, "wild")
    assert said["status"] == "failed" and said["reason"]


@pytest.mark.parametrize("content", ["{", "[]", '{"status": "complete"}'])
def test_a_damaged_document_is_refused(tmp_path: Path, content: str) -> None:
    place = tmp_path / "runs/stages/broken/stage.json"
    place.parent.mkdir(parents=True)
    place.write_text(content)
    with pytest.raises(BadInputError, match=r"stage\.json"):
        run(tmp_path, "pretrain", "broken")
    assert place.read_text() == content


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "runs/stages/mine/thesis.txt"
    place.parent.mkdir(parents=True)
    place.write_text("not to be touched")
    with pytest.raises(BadInputError, match=r"holds thesis\.txt and no stage\.json"):
        run(tmp_path, "pretrain", "mine")
    assert [path.name for path in place.parent.iterdir()] == ["thesis.txt"]


def test_a_trial_of_a_sweep_needs_no_space() -> None:
    with pytest.raises(BadInputError, match="leave --space and --point out"):
        prepare_stage("train", StageOptions(from_trial="s/t000", point=1))


def test_a_frozen_backbone_is_judged(folder: Path) -> None:
    what = {"ways": ("knn", "linear_probe"), "split": "test"}
    result = run(folder, "evaluate", "frozen", start=file(folder, "pretrain"), what=what).result
    assert set(result["metrics"]) == {"knn20", "knn100", "linear_probe"}
    assert all(0.2 < scores["top1"] < 1 for scores in result["metrics"].values())


def test_fine_tuning_by_itself_may_start_from_the_upper_backbone(folder: Path, tmp_path: Path) -> None:
    aligned = torch.load(file(folder, "train"), weights_only=True)
    asked = (*LONGER, "finetune_from=upper", "finetune_epochs=0")
    result = run(folder, "finetune", "upper", *asked, start=file(folder, "train")).result
    assert result["objective"] == document(folder, "train")["result"]["objective"]
    tuned = torch.load(file(folder, "upper"), weights_only=True)
    assert all(torch.equal(tuned["backbone"][name], tensor) for name, tensor in aligned["upper"].items())
    # Beside a head of its own as well: that is warmed up on the backbone which is fine-tuned.
    torch.save({name: part for name, part in aligned.items() if name != "downstream"}, tmp_path / "headless.pt")
    run(folder, "finetune", "headless", *asked, start=str(tmp_path / "headless.pt"))
    assert document(folder, "headless")["stages"] == ["head", "finetune"]
    fresh = torch.load(file(folder, "headless"), weights_only=True)
    assert all(torch.equal(fresh["backbone"][name], tensor) for name, tensor in aligned["upper"].items())


def test_an_aligned_file_of_before_has_no_upper_backbone_to_start_from(folder: Path, tmp_path: Path) -> None:
    content = torch.load(file(folder, "train"), weights_only=True)
    torch.save({name: part for name, part in content.items() if name != "upper"}, tmp_path / "earlier.pt")
    start = str(tmp_path / "earlier.pt")
    with pytest.raises(BadInputError, match=r"earlier.pt holds the lower backbone alone: .*set finetune_from to lower"):
        run(folder, "finetune", "refused", *LONGER, "finetune_from=upper", start=start)
    assert not (folder / "runs/stages/refused/finetuned.pt").exists()
