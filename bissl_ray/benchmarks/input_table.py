"""How an input measurement is shown."""

from rich.console import Group
from rich.table import Table
from rich.text import Text

from bissl_ray.benchmarks.input import Measurement


def input_table(measured: Measurement) -> Group:
    """What was measured, the ways, and how to read them."""
    question, side = measured.question, measured.pixels**0.5
    data = "photographs" if question.data is None else question.data.dataset
    drawn = "one augmented image" if question.stream == "train" else "two views"
    processes = f"{question.processes} loader processes" if question.processes else "no loader process"
    head = Text(
        f"{measured.images} images of {data}, as many pixels as {side:.0f} x {side:.0f}; {drawn} of "
        f"{question.image_size} px each, batch {question.batch}, {processes}"
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("images")
    table.add_column("per second", justify="right")
    table.add_column("of memory's rate", justify="right")
    for way in measured.ways:
        table.add_row(way.name, f"{way.rate:,.0f}", f"{way.ratio:.1%}")
    foot = Text(
        f"\nThe cache took {measured.filling_seconds:.1f} s to fill and {measured.cache_bytes / 2**20:,.0f} MiB. "
        f"Medians of {question.rounds} turns of about {question.seconds:g} s each, the ways in turn.",
        style="dim",
    )
    return Group(head, Text(), table, foot)
