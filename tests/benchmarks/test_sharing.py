"""`bench sharing` on the CPU: processes that share its threads."""

import json

import pytest

from tests.benchmarks.run import bench


@pytest.mark.slow
def test_one_and_two_trials(tmp_path) -> None:
    saved = tmp_path / "figures.json"
    shown = bench("sharing", "--trials", "1,2", "--seconds", "0.5", "--save", str(saved))
    measured = json.loads(saved.read_text())
    assert "CPU, 1 thread in all" in shown and measured["threads"] == [1, 1]
    assert [len(row["rates"]) for row in measured["rows"]] == [1, 2]
    assert measured["rows"][0]["ratio"] == 1
    assert all(rate > 0 for row in measured["rows"] for rate in row["rates"])


def test_numbers_that_are_none() -> None:
    assert "--trials 1,1: expected rising numbers" in bench("sharing", "--trials", "1,1", code=2)
