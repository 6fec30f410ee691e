"""`bissl-ray bench precision`: what can't be measured is refused in a line, and figures come as JSON too."""

import json

import pytest

from bissl_ray.cli.main import app
from tests.cli.command import Refused, one_line


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--backbone", "resnet"], "bench precision: backbone: found 'resnet', expected one of smallconv"),
        (["--pretext", "moco"], "bench precision: pretext: found 'moco'"),
        (["--backbone", "smallconv", "--batch", "5000"], "the batch is 5000 images: expected at most 900"),
        (["--save", "nowhere/figures.json"], "found no folder nowhere"),
    ],
)
def test_what_can_not_be_measured(refused: Refused, arguments: list[str], expected: str) -> None:
    assert expected in one_line(refused("bench", "precision", *arguments))


def test_figures_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--backbone", "smallconv", "--size", "8", "--batch", "8", "--steps", "8", "--json"]
    app(["bench", "precision", *small], standalone_mode=False)
    measured = json.loads(capsys.readouterr().out)
    assert [len(row["losses"]) for row in measured["rows"]] == [8] * len(measured["rows"])
