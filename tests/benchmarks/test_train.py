"""`bench train` takes real steps of every stage and measures what it says."""

import json

import pytest

from tests.benchmarks.run import bench

pytestmark = pytest.mark.slow
TINY = ["--backbone", "smallconv", "--size", "16", "--batch", "8", "--steps", "2", "--rounds", "2", "--side", "40"]
STAGES = ["pretraining", "lower steps", "upper steps", "fine-tuning"]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_every_stage(tmp_path, precision) -> None:
    saved = tmp_path / "figures.json"
    given = [*TINY, "--photographs", "20", "--processes", "0", "--precision", precision, "--save", str(saved)]
    shown = bench("train", *given)
    measured = json.loads(saved.read_text())
    assert [row["stage"] for row in measured["rows"]] == STAGES and all(stage in shown for stage in STAGES)
    assert "CPU" in measured["device"] and set(measured["matmul_rates"]) == {"float32", precision}
    for row in measured["rows"]:
        assert row["images"] == (24 if row["stage"] == "upper steps" else 16)
        assert row["peak_bytes"] > 0 and precision in row["flop"]
        for pace in (row["fed"], row["held"]):
            assert len(pace["seconds"]) == 2 and pace["rate"] == pytest.approx(2 * row["images"] / sum(pace["seconds"]))
            assert 0 < pace["busy"] < 1.2 and 0 < pace["roofline"] < 1
    lower, upper = (row["flop"] for row in measured["rows"][1:3])
    # The curvature is float32's in any precision.
    assert upper["float32"] > lower.get("float32", 0) / 2


def test_a_batch_larger_than_the_images(tmp_path) -> None:
    said = bench("train", *TINY, "--photographs", "20", "--batch", "64", code=2)
    assert "a batch of 64 from 12 images for the pretext: lower --batch" in said
