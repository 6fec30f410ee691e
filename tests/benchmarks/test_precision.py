"""Loss curves of several arithmetics: each really runs in its own, float32 is the first and deviates from nothing."""

import io

import pytest
import torch
from rich.console import Console

from bissl_ray.benchmarks.precision import Question, measure_precision
from bissl_ray.benchmarks.precision_table import precision_table

QUESTION = Question("smallconv", "simclr", 8, 16, 16, 0.5, 0)


@pytest.fixture(scope="module")
def measured():
    return measure_precision(QUESTION)


@pytest.mark.slow
def test_each_runs_in_its_own_arithmetic(measured):
    expected = {"float32": "float32", "tf32": "float32", "bfloat16": "bfloat16"}
    rows = [row.precision for row in measured.rows]
    assert rows == (list(expected) if torch.cuda.is_available() else ["float32", "bfloat16"])
    assert all(row.features == expected[row.precision] for row in measured.rows)


def test_bfloat16_stays_near_float32_and_is_not_the_same(measured):
    first, *_, last = measured.rows
    assert (first.deviation, first.speed) == (0, 1)
    assert 0 < last.deviation < 0.05
    assert len(first.losses) == 16 and len(first.curve) == 8


@pytest.mark.slow
def test_the_same_seed_gives_the_same_curve(measured):
    assert [row.losses for row in measure_precision(QUESTION).rows] == [row.losses for row in measured.rows]


def test_the_table_fits_into_80_columns(measured):
    console = Console(file=io.StringIO(), width=80, record=True)
    console.print(precision_table(measured))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("bfloat16") and line.endswith("x") for line in lines)
