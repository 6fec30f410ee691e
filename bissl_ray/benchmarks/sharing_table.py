"""The table of `bench sharing`."""

from rich.console import Group
from rich.table import Table
from rich.text import Text

from bissl_ray.benchmarks.sharing import Measurement


def sharing_table(measured: Measurement) -> Group:
    """A row for each number of trials, and how to read them."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("trials", "steps/s of each", "steps/s together", "of the first row's"):
        table.add_column(name, justify="right")
    for row in measured.rows:
        slowest, fastest = min(row.rates), max(row.rates)
        each = f"{slowest:,.1f}" if row.trials == 1 else f"{slowest:,.1f} to {fastest:,.1f}"
        table.add_row(str(row.trials), each, f"{row.rate:,.1f}", f"{row.ratio:.2f}x")
    shared = "the device's memory in equal parts"
    if measured.threads is not None:
        shared = f"the threads in equal parts: {', '.join(map(str, measured.threads))}, by row"
    foot = Text(
        f"\nAlternations of BiSSL on the digits, steps of both levels, for about "
        f"{measured.question.seconds:g} s a row; {shared}.",
        style="dim",
    )
    return Group(Text(measured.device), Text(), table, foot)
