"""`bissl-ray bench`: what can not be measured is refused in a line, before anything is."""

from pathlib import Path

import pytest
import torch

from bissl_ray.models import build_backbone, checkpoint_content
from tests.cli.command import Refused, one_line

HUGE = 10**20
REFUSED = {
    "augment": [
        (["--stream", "both"], "--stream"),
        (["--size", HUGE], "--size"),
        (["--count", HUGE], f"{HUGE} photographs of 500 px are more, decoded, than the"),
        (["--image-size", "2000"], "--image-size"),
        (["--threads", HUGE], f"--threads {HUGE}: found"),
        (["--batch", "512"], "a batch of 512 from 256 photographs: raise --count, or lower --batch"),
    ],
    "driver": [
        (["--trials", "5,1"], "expected rising numbers from 1 to 1000000"),
        (["--trials", HUGE], "expected rising numbers from 1 to 1000000"),
        (["--sampler", "tpy"], "expected 'tpe'"),
    ],
    "hypergradient": [
        (["--damping", "0"], "--damping 0"),
        (["--damping", "inf"], "--damping inf"),
        (["--save", "nowhere/figures.json"], "found no folder nowhere"),
        (["--save", "."], "found a folder"),
        (["--size", HUGE], "bench --size: image_size: found 100000000000000000000, expected a value less than"),
        (["--workers", "3"], "the batch is 16 images, 3 workers: expected at least 4 each, and equally many"),
        (["--batch", "16", "--workers", "8"], "the batch is 16 images, 8 workers"),
        (["--batch", "1024"], "the batch is 1024 images: expected at most 900"),
        (["--pretrained", "absent.pth"], "no checkpoint file at"),
        (["--pretrained", "small.pt", "--workers", "2"], "small.pt does not fit the backbone resnet18"),
    ],
    "input": [
        (["--dataset", "carz"], "did you mean 'cars'"),
        (["--dataset", "digits"], "digits is not a dataset of image files"),
        (["--data-dir", "/nowhere"], "--data-dir without --dataset"),
        (["--count", "0"], "--count"),
        (["--count", "8", "--size", "8"], "a batch of 64 from 8 images: raise --count, or lower --batch"),
        (["--stream", "both"], "--stream"),
        (["--seconds", "inf"], "--seconds"),
    ],
    "precision": [
        (["--size", "12", "--backbone", "vit_b_16"], "bench --size: image_size: found"),
        (["--lr", "inf"], "--lr"),
        (["--seed", HUGE], "--seed"),
        (["--backbone", "smallconv", "--batch", "5000"], "the batch is 5000 images: expected at most 900"),
    ],
    "scaling": [
        (["--workers", HUGE], "expected rising numbers from 1 to 256, such as 1,2,4"),
        (["--precision", "half"], "--precision"),
        (["--size", "2000"], "bench --size: image_size: found 2000, expected a value less than or equal to 1024"),
    ],
    "sharing": [
        (["--trials", "1,100000"], "expected rising numbers from 1 to 256"),
        (["--seconds", "inf"], "--seconds"),
    ],
    "tasks": [
        (["--detector", "yolo"], "--detector"),
        (["--size", "2000"], "bench --size: image_size: found 2000, expected a value less than or equal to 1024"),
        (["--lower-batch", "1000"], "from the 900 images of digits: lower --lower-batch"),
        (["--lower-batch", HUGE], "lower_batch: found 100000000000000000000, expected one that a real number holds"),
        (["--upper-steps", HUGE], "--upper-steps"),
    ],
    "train": [
        (["--steps", HUGE], "--steps"),
        (["--side", HUGE], "--side"),
        (["--photographs", HUGE], "photographs of 500 px are more, decoded, than the"),
        (["--photographs", "20", "--side", "8"], "a batch of 64 from 12 images for the pretext: lower --batch"),
    ],
    "turnaround": [
        (["--trials", "1"], "--trials"),
        (["--workers", "100000"], "100000 workers need 100000"),
    ],
}
"""By verb; what all of them have is below."""
FIGURES = [*(verb for verb in REFUSED if verb != "turnaround")]
NETWORKS = ["hypergradient", "precision", "scaling", "tasks", "train"]
COUNTS = {
    "augment": "--batch",
    "hypergradient": "--repeats",
    "input": "--rounds",
    "precision": "--steps",
    "scaling": "--rounds",
    "sharing": "--seconds",
    "tasks": "--rounds",
    "train": "--rounds",
    "turnaround": "--workers",
}
CASES = [
    *((verb, *case) for verb, cases in REFUSED.items() for case in cases),
    *((verb, [flag, wrong], flag) for verb, flag in COUNTS.items() for wrong in ("0", "-1", "many")),
    *((verb, ["--save", "nowhere/figures.json"], "found no folder nowhere") for verb in FIGURES),
    *((verb, ["--backbone", "resnet"], "backbone") for verb in NETWORKS),
    *((verb, ["--pretext", "moco"], "bench: pretext: found 'moco'") for verb in ("precision", "scaling", "train")),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("verb", "arguments", "expected"), CASES, ids=[" ".join(map(str, [verb, *given])) for verb, given, _ in CASES]
)
def test_what_can_not_be_measured_is_refused_in_a_line(
    tmp_path: Path, refused: Refused, verb: str, arguments: list[object], expected: str
) -> None:
    if "small.pt" in arguments:
        content = checkpoint_content(build_backbone("smallconv").state_dict(), None, {"backbone": "smallconv"})
        torch.save(content, tmp_path / "small.pt")
    assert expected in one_line(refused("bench", verb, *arguments))


def test_data_that_are_missing_are_described(refused: Refused) -> None:
    assert "needs a data folder" in refused("bench", "input", "--dataset", "cars")
