"""`bench augment` augments the same photographs in each way, and says how fast."""

import json

import pytest

from tests.benchmarks.run import bench

TINY = ["--size", "60", "--count", "8", "--image-size", "32", "--batch", "4", "--rounds", "2"]


@pytest.mark.parametrize("stream", ["pretext", "train"])
def test_every_way(tmp_path, stream) -> None:
    saved = tmp_path / "figures.json"
    shown = bench("augment", *TINY, "--stream", stream, "--save", str(saved))
    measured = json.loads(saved.read_text())
    assert [way["name"] in shown for way in measured["ways"]] == [True] * 4
    assert measured["ways"][0]["ratio"] == 1
    assert all(len(way["rates"]) == 2 and min(way["rates"]) > 0 for way in measured["ways"])


def test_a_batch_larger_than_the_photographs() -> None:
    assert "a batch of 64 from 8 photographs" in bench("augment", *TINY[:-4], "--batch", "64", code=2)
