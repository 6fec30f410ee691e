"""Bad input: exit code 2, one clear line, nothing started and nothing written."""

from pathlib import Path
from typing import Any

import pytest
import torch

from bissl_ray.models import build_backbone, checkpoint_content
from tests.cli.command import Refused, one_line, run, tiny_space


def test_unknown_dataset(tmp_path: Path, refused: Refused) -> None:
    line = one_line(refused("sweep", "--dataset", "digit"))
    assert "'digit'" in line and "digits" in line and "cars" in line


def test_bad_key_of_a_space(tmp_path: Path, refused: Refused) -> None:
    path = tmp_path / "space.yaml"
    path.write_text("dataset: digits\nextends: digits\nparameters:\n  lower_rl: {type: float, low: 0.1, high: 1}\n")
    line = one_line(refused("sweep", "--space", path))
    assert "space.yaml:4" in line and "lower_rl" in line and "lower_lr" in line


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        ("{type: float, low: 2.0, high: 1.0}", "low < high"),
        ("{type: float, low: 0, high: 1.0, log: true}", "above 0"),
    ],
)
def test_bad_range(tmp_path: Path, refused: Refused, parameter: str, expected: str) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(f"dataset: digits\nextends: digits\nparameters:\n  lower_lr: {parameter}\n")
    line = one_line(refused("sweep", "--space", path))
    assert "space.yaml:4" in line and "lower_lr" in line and expected in line


@pytest.mark.parametrize("trials", ["-3", "0"])
def test_too_few_trials(refused: Refused, trials: str) -> None:
    assert f"--trials {trials}" in one_line(refused("sweep", "--trials", trials))


def test_missing_checkpoint(tmp_path: Path, refused: Refused) -> None:
    line = one_line(refused("sweep", "--pretrained", "nowhere.pth"))
    assert "nowhere.pth" in line


def test_checkpoint_of_another_backbone(tmp_path: Path, refused: Refused) -> None:
    from torchvision.models import resnet18

    torch.save(resnet18().state_dict(), tmp_path / "r18.pth")
    line = one_line(refused("sweep", "--pretrained", tmp_path / "r18.pth"))
    assert "smallconv" in line and "looks like resnet18" in line


def test_checkpoint_with_another_head(tmp_path: Path, refused: Refused) -> None:
    from bissl_ray.models import build_backbone

    head = {f"projector.{place}.weight": torch.zeros(8, 8) for place in (0, 3, 6)}
    torch.save({**build_backbone("smallconv").state_dict(), **head}, tmp_path / "head.pth")
    line = one_line(refused("sweep", "--pretrained", tmp_path / "head.pth"))
    assert "head.pth does not fit the head of SimCLR" in line and "projector." in line


def test_checkpoint_wanted(tmp_path: Path, refused: Refused) -> None:
    from tests.data.tiny.cars import write_tiny_cars

    write_tiny_cars(tmp_path / "data")
    line = one_line(refused("sweep", "--dataset", "cars", "--data-dir", tmp_path / "data"))
    assert "--pretrained" in line and "resnet50" in line and "--pretrain" in line


def test_unwritable_storage(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "file").write_text("in the way")
    line = one_line(refused("sweep", "--storage", tmp_path / "file"))
    assert "file" in line and "--storage" in line
    assert (tmp_path / "file").read_text() == "in the way"


def test_unknown_sweep(tmp_path: Path, refused: Refused) -> None:
    line = one_line(refused("resume", "nothing"))
    assert "'nothing'" in line


def test_cars_without_data(tmp_path: Path, refused: Refused) -> None:
    said = refused("sweep", "--dataset", "cars", "--data-dir", tmp_path / "empty", "--pretrain")
    assert str(tmp_path / "empty") in said
    assert "cars_test_annos_withlabels.mat" in said and "--data-dir" in said


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--budget", "soon"], "--budget soon"),
        (["--workers-per-trial", "0"], "--workers-per-trial 0"),
        (["--workers-per-trial", "3"], "3 workers"),
        (["--name", "42"], "'42'"),
        (["--address", "here"], "--address here"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_odd_arguments(refused: Refused, arguments: list[str], expected: str) -> None:
    assert expected in one_line(refused("sweep", *arguments))


def test_backbone_cannot_be_searched(tmp_path: Path, refused: Refused) -> None:
    choices = {"backbone": {"type": "categorical", "choices": ["smallconv", "resnet18"]}}
    fixed = {"backbone": "smallconv"}
    path = tiny_space(tmp_path, parameters=choices)
    path.write_text(path.read_text().replace(f"  backbone: {fixed['backbone']}\n", ""))
    assert "backbone" in one_line(refused("sweep", "--space", path))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--damping", "0"], "--damping 0"),
        (["--damping", "inf"], "--damping inf"),
        (["--save", "nowhere/figures.json"], "found no folder nowhere"),
        (["--save", "."], "found a folder"),
        (["--backbone", "resnet"], "unknown backbone 'resnet'"),
        (["--batch", "16", "--workers", "8"], "the batch is 16 images, 8 workers"),
        (["--batch", "1024"], "the batch is 1024 images: expected at most 900"),
        (["--pretrained", "small.pt", "--workers", "2"], "small.pt does not fit the backbone resnet18"),
    ],
)
def test_a_benchmark_that_can_not_be_run(tmp_path: Path, refused: Refused, arguments: list[str], expected: str) -> None:
    content = checkpoint_content(build_backbone("smallconv").state_dict(), None, {"backbone": "smallconv"})
    torch.save(content, tmp_path / "small.pt")
    assert expected in one_line(refused("bench", "hypergradient", *arguments))


@pytest.mark.parametrize(
    ("changes", "workers", "expected"),
    [
        ({"parameters": {"curvature_chunks": {"type": "int", "low": 1, "high": 4}}}, 1, "3 equal parts"),
        ({"parameters": {"curvature_batch": {"type": "categorical", "choices": [None, 15]}}}, 2, "15 images in some"),
        ({"known_good": [{"curvature_batch": 7}]}, 2, "taken on 7 images, which 2 workers"),
        ({"fixed": {"damping": 0, "proximity_weight_stem": 0}, "known_good": []}, 1, "proximity weight of stem"),
    ],
)
def test_settings_that_would_fail_some_trial(
    tmp_path: Path, refused: Refused, changes: dict[str, Any], workers: int, expected: str
) -> None:
    path = tiny_space(tmp_path, **changes)
    assert expected in one_line(refused("sweep", "--space", path, "--workers-per-trial", workers))


def test_dry_run_starts_nothing(tmp_path: Path) -> None:
    done = run("sweep", "--dry-run", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "nothing was started" in done.out and "lower_lr" in done.out
    assert not list(tmp_path.iterdir())


def test_a_refusal_in_a_process_of_its_own(tmp_path: Path) -> None:
    done = run("sweep", "--dataset", "digit", cwd=tmp_path)
    assert done.code == 2 and done.out == "" and "Traceback" not in done.err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--dataset", "carz"], "did you mean 'cars'"),
        (["--dataset", "digits"], "digits is not a dataset of image files"),
        (["--dataset", "cars"], "needs a data folder"),
        (["--data-dir", "/nowhere"], "--data-dir without --dataset"),
        (["--count", "0"], "--count"),
        (["--stream", "both"], "--stream"),
        (["--save", "/nowhere/figures.json"], "found no folder /nowhere"),
    ],
)
def test_an_input_benchmark_that_can_not_be_run(refused: Refused, arguments: list[str], expected: str) -> None:
    assert expected in refused("bench", "input", *arguments)
