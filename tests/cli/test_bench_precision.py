"""`bissl-ray bench precision`: figures come as JSON too."""

import json

import pytest

from bissl_ray.cli.main import app


def test_figures_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--backbone", "smallconv", "--size", "8", "--batch", "8", "--steps", "8", "--json"]
    app(["bench", "precision", *small], standalone_mode=False)
    measured = json.loads(capsys.readouterr().out)
    assert [len(row["losses"]) for row in measured["rows"]] == [8] * len(measured["rows"])
