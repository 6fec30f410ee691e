"""docs/does-it-pay.md holds what the comparisons beside it found, and nothing that they don't."""

import json
import re

import pytest

from bissl_ray.config import load_search_space
from tests.docs.study import PAGE, RESULTS, filled, gain, names

TEXT = PAGE.read_text()


def test_every_table_is_what_was_found() -> None:
    assert filled(TEXT) == TEXT, "results have changed: python -m tests.docs.study --write"


def test_ranks_of_points_are_told() -> None:
    assert "<!-- points -->\n\n| judged by |" in TEXT and "Of 24 points" in TEXT


def test_every_comparison_has_its_table_and_a_command() -> None:
    assert re.findall(r"<!-- study: (\w+) -->", TEXT) and names()
    for name in names():
        assert f"<!-- study: {name} -->" in TEXT and f"--name {name} " in TEXT


@pytest.mark.parametrize("space", sorted(path.name for path in RESULTS.glob("*.yaml")))
def test_every_space_of_the_study_loads(space: str) -> None:
    # What a search is measured on (docs/searching.md) takes seconds a trial.
    assert load_search_space(str(RESULTS / space)).dataset == ("digits" if space == "search.yaml" else "fashion_mnist")


@pytest.mark.parametrize("name", names())
def test_a_result_is_of_paired_seeds_and_names_its_rows(name: str) -> None:
    found = json.loads((RESULTS / f"{name}.json").read_text())
    assert len(found["stored_rows_sha256"]) == 64 and found["stored_rows"] > 0
    for row in found["rows"]:
        if row["finished"]:
            assert row["seeds"] >= 5 and row["split"] == "test"
            assert row["gain"] == pytest.approx(row["bissl"] - row["control"])


def test_a_gain_stands_out_where_its_interval_leaves_0_out() -> None:
    row = {"gain": 0.011, "gain_low": 0.001, "gain_high": 0.021}
    assert gain(row) == "**+1.1 (+0.1 to +2.1)**"
    assert gain({**row, "gain_low": -0.001}) == "+1.1 (−0.1 to +2.1)"
    assert gain({**row, "gain": -0.0001, "gain_low": -0.02}) == "+0.0 (−2.0 to +2.1)"
