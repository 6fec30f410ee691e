"""Few labels from the command line: what dry runs say, what is refused, what is said once, what a run's name is for."""

from dataclasses import fields, replace
from pathlib import Path

import pytest

from bissl_ray.cli.filling import OF_DATA
from bissl_ray.config.data_choice import USED, DataChoice
from bissl_ray.config.documents import SweepDocument
from bissl_ray.config.options import StageOptions, SweepOptions
from bissl_ray.stages.prepare import prepare_stage
from bissl_ray.sweep.run import prepare_request
from tests.cli.command import Done, Refused, one_line, run_here, tiny_space
from tests.config.said_once import nothing_said
from tests.data.tiny import write_tiny
from tests.data.tiny.mnist_kin import write_tiny_fashion_of_debian

FEW = ("--labels-per-class", "3", "--unlabelled-images", "600")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: run_here(monkeypatch, capsys, *arguments)


@pytest.mark.parametrize(
    "verb", [("sweep", "--dataset", "digits"), ("compare", "--dataset", "digits"), ("pretrain",), ("train",)]
)
def test_a_dry_run_says_how_many(here, verb: tuple[str, ...]) -> None:
    done = here(*verb, *FEW, "--dry-run")
    assert done.code == 0, done
    assert "data: 10 classes; 600 pretext, 30 train (3 per class), 300 validation, 597 test images" in done.out


def test_clothes_of_debian(here, tmp_path: Path) -> None:
    data = write_tiny_fashion_of_debian(tmp_path / "data")
    done = here("sweep", "--dataset", "fashion_mnist", "--data-dir", data, "--pretrain", "--dry-run", *FEW[:2])
    assert done.code == 0, done
    assert "230 pretext, 30 train (3 per class), 10 validation, 30 test images" in done.out


def test_another_draw_is_said(here) -> None:
    done = here("sweep", "--dataset", "digits", *FEW, "--label-draw", "2", "--dry-run")
    assert done.code == 0 and "30 train (3 per class, draw 2), 300 validation" in done.out, done


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--label-draw", "2"), "--label-draw 2 draws some of the labels: add --labels-per-class N"),
        (("--labels-per-class", "90"), "class 0 of Digits has 89 training images; give 89 or fewer"),
        (("--labels-per-class", "10", "--unlabelled-images", "99"), "100 images of Digits are labelled"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(refused: Refused, arguments: tuple[str, ...], told: str) -> None:
    for verb in ("sweep", "compare"):
        assert told in one_line(refused(verb, "--dataset", "digits", *arguments, "--dry-run"))


def test_they_may_be_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def here(*arguments: object) -> Done:
        return run_here(monkeypatch, capsys, *arguments)

    (nothing_said(tmp_path, monkeypatch) / "bissl-ray.toml").write_text(
        "[datasets.digits]\nlabels-per-class = 3\nunlabelled-images = 600\n"
    )
    done = here("sweep", "--dataset", "digits", "--dry-run")
    assert done.code == 0 and "600 pretext, 30 train (3 per class)" in done.out
    done = here("sweep", "--dataset", "digits", "--labels-per-class", "5", "--dry-run")
    assert "50 train (5 per class)" in done.out
    assert {"labels-per-class", "unlabelled-images"} <= OF_DATA


def test_a_request_keeps_them_and_one_of_before_has_none(tmp_path: Path) -> None:
    request = prepare_request(SweepOptions(dataset="digits", name="a", labels_per_class=3, unlabelled_images=600))
    document = SweepDocument(request=request)
    again = SweepDocument.from_any_version(document.model_dump(mode="json"))
    assert again.request.data == DataChoice("digits", labels_per_class=3, unlabelled_images=600)
    content = document.model_dump(mode="json")
    for name in USED:
        del content["request"]["data"][name]
    assert SweepDocument.from_any_version(content).request.data == DataChoice("digits")
    assert {*USED} <= {each.name for each in fields(DataChoice)}


def test_a_stages_name_stands_for_its_number_of_labels(tmp_path: Path) -> None:
    asked = StageOptions(space=str(tiny_space(tmp_path)), name="a", labels_per_class=3)
    first, _ = prepare_stage("pretrain", asked)
    again, _ = prepare_stage("pretrain", replace(asked, labels_per_class=10))
    assert first.difference(first) is None
    assert again.difference(first) == "labels_per_class 10 instead of 3"
    other, _ = prepare_stage("pretrain", replace(asked, label_draw=1))
    assert other.difference(first) == "label_draw 1 instead of nothing (null)"


def test_the_next_stage_is_told(here, tmp_path: Path) -> None:
    done = here("pretrain", "--space", tiny_space(tmp_path), *FEW, "--name", "pre", "--storage", tmp_path / "runs")
    assert done.code == 0, done
    assert "--labels-per-class 3 --unlabelled-images 600" in done.out


def test_a_check_looks_at_everything(here, tmp_path: Path) -> None:
    done = here("datasets", "check", "fashion_mnist", "--data-dir", write_tiny("fashion_mnist", tmp_path / "data"))
    assert done.code == 0 and "270 of 270 images open. Nothing is wrong." in done.out
