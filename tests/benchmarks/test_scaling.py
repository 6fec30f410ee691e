"""`bench scaling` on one and two gloo workers."""

import json

import pytest

from tests.benchmarks.run import bench

TINY = ["--backbone", "smallconv", "--size", "8", "--batch", "8", "--rounds", "2"]


@pytest.mark.slow
def test_one_and_two_workers(tmp_path) -> None:
    saved = tmp_path / "figures.json"
    shown = bench("scaling", *TINY, "--workers", "1,2", "--save", str(saved))
    measured = json.loads(saved.read_text())
    assert "1 thread each in every row, gloo" in shown and measured["device"] == "CPU"
    assert [(row["kind"], row["workers"], row["share"]) for row in measured["rows"]] == [
        ("strong", 1, 8),
        ("strong", 2, 4),
        ("weak", 1, 8),
        ("weak", 2, 8),
    ]
    for row in measured["rows"]:
        for work in (row["step"], row["product"]):
            assert len(work["seconds"]) == 2 and work["efficiency"] > 0
            assert (work["communication"] > 0) == (row["workers"] > 1) and work["communication"] <= 1
            assert row["workers"] > 1 or work["efficiency"] == 1


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--workers", "2,1"], "--workers 2,1: expected rising numbers from 1 to 256, such as 1,2,4"),
        (["--workers", "0"], "expected rising numbers"),
        (["--workers", "1,a"], "expected rising numbers"),
        (["--workers", "1,3"], "--batch 8 over 3 workers: expected at least 2 images each, and equally many"),
        (["--workers", "8"], "--batch 8 over 8 workers"),
        (["--batch", "2048"], "digits has 900 images for the pretext; lower it"),
    ],
)
def test_what_can_not_be_measured(given, expected) -> None:
    assert expected in bench("scaling", *TINY, *given, code=2)
