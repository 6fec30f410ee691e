"""`bissl-ray bench`: what can not be measured is refused before anything is."""

from pathlib import Path

import pytest
import torch

from bissl_ray.models import build_backbone, checkpoint_content
from tests.cli.command import Refused, one_line


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
