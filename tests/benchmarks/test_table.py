"""How a hypergradient measurement is shown."""

import io

from rich.console import Console

from bissl_ray.benchmarks.hypergradient import Measurement
from bissl_ray.benchmarks.problem import Question
from bissl_ray.benchmarks.solving import Row
from bissl_ray.benchmarks.tables import measurement_table


def shown(damping: float) -> str:
    ways = ("recompute, layer-wise CG (5)", "identity")
    rows = [Row(way, 1234.5, 2122, 48, 123456.7, 12.3, 1.2e-10, 0.31, 12345 * 2**20, 145.0, 0.95) for way in ways]
    question = Question("resnet50", 96, 8, 1, 300, None)
    measured = Measurement(question, "CPU", 2, 23_508_032, damping, (-120.0, 280.0), 0.0064, [], 4321.0, rows)
    console = Console(file=io.StringIO(), width=80, record=True)
    console.print(measurement_table(measured))
    return " ".join(console.export_text().split())


def test_indefinite_curvature_is_named() -> None:
    assert "not positive definite" in shown(damping=120.0)
    assert "not positive definite" not in shown(damping=121.0)
    assert "A product's operations: recompute, layer-wise CG (5), 2,122." in shown(damping=121.0)
    assert "1 upper step; " in shown(damping=121.0)


def test_no_digit_is_lost_in_80_columns() -> None:
    ways = ("recompute, layer-wise CG (5)", "identity")
    rows = [Row(way, 1234.5, 2122, 48, 123456.7, 12.3, 1.2e-10, 0.31, 12345 * 2**20, 145.0, 0.95) for way in ways]
    question = Question("resnet50", 96, 8, 8, 300, None)
    measured = Measurement(question, "CPU", 2, 23_508_032, 379.0, (-120.0, 280.0), 0.0064, [0.81, 0.9], 4321.0, rows)
    console = Console(file=io.StringIO(), width=80, record=True)
    console.print(measurement_table(measured))
    lines = [line.split() for line in console.export_text().splitlines() if line.startswith(ways)]
    assert [line[-7:] for line in lines[:2]] == [["1234", "48", "123,457", "12.3x", "1.2e-10", "3.1e-1", "12,345"]] * 2
    assert [line[-3:] for line in lines[2:]] == [["145", "1.0x", "0.9500"]] * 2
