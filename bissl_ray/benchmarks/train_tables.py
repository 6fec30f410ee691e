"""The table of `bench train`."""

from rich.console import Group
from rich.table import Table
from rich.text import Text

from bissl_ray.benchmarks.train import Measurement


def train_table(measured: Measurement) -> Group:
    """What was measured, the stages, and how to read them."""
    question = measured.question
    rates = ", ".join(f"{rate / 1e12:.3g} TFLOP/s in {name}" for name, rate in measured.matmul_rates.items())
    head = Text(
        f"{question.backbone}, {question.pretext}, {question.size} px, batch {question.batch}, {question.precision}; "
        f"{measured.device}; {measured.cores} cores, {question.processes} loader processes for each stream of images\n"
        f"matrix products: {rates}"
    )
    table = Table(box=None, pad_edge=False, collapse_padding=True, header_style="bold")
    table.add_column("stage", no_wrap=True)
    figures = (
        "images/s,\nloaders",
        "busy",
        "images/s,\nmemory",
        "busy",
        "of\nroofline",
        "peak\nMB",
        "loaders\nof memory",
    )
    for name in figures:
        table.add_column(name, justify="right", vertical="bottom")
    for row in measured.rows:
        table.add_row(
            row.stage,
            f"{row.fed.rate:,.1f}",
            _share(row.fed.busy),
            f"{row.held.rate:,.1f}",
            _share(row.held.busy),
            f"{row.held.roofline:.1%}",
            f"{row.peak_bytes / 2**20:,.0f}",
            f"{row.fed.rate / row.held.rate:.1%}",
        )
    busy = (
        "time of this process on the processors over threads times the time"
        if measured.device.startswith("CPU")
        else "share of the time in which a kernel runs"
    )
    foot = Text(
        f"\n{question.rounds} rounds of {question.steps} steps, {question.photographs} photographs of {question.side} "
        f"px. Busy: {busy}. Roofline: the counted FLOP at the rates of matrix products, each in its arithmetic, over "
        "the time from memory. Memory beside models, optimizers and batches. The upper steps include the linear "
        "solves, and their images the curvature batch.",
        style="dim",
    )
    return Group(head, Text(), table, foot)


def _share(busy: float | None) -> str:
    return "not seen" if busy is None else f"{busy:.0%}"
