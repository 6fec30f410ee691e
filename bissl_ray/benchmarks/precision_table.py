"""How a measurement of precisions is shown."""

from rich.console import Group
from rich.table import Table
from rich.text import Text

from bissl_ray.benchmarks.precision import Measurement


def precision_table(measured: Measurement) -> Group:
    """What was measured, a row for each arithmetic, and the loss curves beside each other."""
    question = measured.question
    head = Text(
        f"{question.backbone}, {question.pretext} on digits of {question.size} px, {question.steps} steps of "
        f"{question.batch} images, seed {question.seed}; {measured.device}"
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("precision")
    for name in ("features", "last loss", "deviates by", "ms a step", "times faster"):
        table.add_column(name, justify="right")
    for row in measured.rows:
        figures = (f"{row.curve[-1]:.4f}", f"{row.deviation:.1e}", f"{row.step_ms:,.1f}", f"{row.speed:.2f}x")
        table.add_row(row.precision, row.features, *figures)
    curves = Table(box=None, pad_edge=False, header_style="bold")
    curves.add_column("steps until", justify="right")
    for row in measured.rows:
        curves.add_column(row.precision, justify="right")
    count = len(measured.rows[0].curve)
    for part, losses in enumerate(zip(*(row.curve for row in measured.rows), strict=True), start=1):
        curves.add_row(f"{question.steps * part // count:,}", *(f"{loss:.4f}" for loss in losses))
    foot = Text(
        "\nMean losses over the steps since the row above, the same weights and batches in each; largest relative "
        "deviation from float32's.",
        style="dim",
    )
    return Group(head, Text(), table, Text(), curves, foot)
