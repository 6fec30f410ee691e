"""The table of `bench scaling`."""

import statistics

from rich.console import Group
from rich.table import Table
from rich.text import Text

from bissl_ray.benchmarks.scaling import Measurement, Work


def scaling_table(measured: Measurement) -> Group:
    """What was measured, a row for each number of workers, and how to read them."""
    question = measured.question
    each = f"{measured.device} each, nccl"
    if measured.threads is not None:
        each = f"{measured.device}, {measured.threads} thread{'s' * (measured.threads != 1)} each in every row, gloo"
    head = Text(
        f"{question.backbone}, {question.pretext}, {question.size} px, {question.precision}; {each}\n"
        f"strong: {question.batch} images over all workers; weak: {question.batch} for each"
    )
    table = Table(box=None, pad_edge=False, collapse_padding=True, header_style="bold")
    table.add_column("scaling", no_wrap=True)
    for name in (
        "workers",
        "step\nms",
        "effi-\nciency",
        "commu-\nnication",
        "product\nms",
        "effi-\nciency",
        "commu-\nnication",
    ):
        table.add_column(name, justify="right", vertical="bottom")
    for row in measured.rows:
        table.add_row(row.kind, str(row.workers), *_cells(row.step), *_cells(row.product))
    foot = Text(
        f"\nA step of pretraining, a product of the curvature; medians of {question.rounds}, batches in memory. "
        f"Efficiency beside {question.workers[0]} worker{'s' * (question.workers[0] != 1)}, 100 % is perfect. "
        "Communication: share of the first worker's time in collectives, waiting for the others included.",
        style="dim",
    )
    return Group(head, Text(), table, foot)


def _cells(work: Work) -> tuple[str, str, str]:
    return f"{1e3 * statistics.median(work.seconds):,.1f}", f"{work.efficiency:.0%}", f"{work.communication:.0%}"
