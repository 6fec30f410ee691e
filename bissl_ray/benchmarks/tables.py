"""The benchmarks' results as tables."""

from rich.console import Group
from rich.table import Table
from rich.text import Text

from bissl_ray.benchmarks.alternations import Measurement as TasksMeasurement
from bissl_ray.benchmarks.hypergradient import Measurement
from bissl_ray.benchmarks.input import Measurement as InputMeasurement
from bissl_ray.benchmarks.solving import Row


def measurement_table(measured: Measurement) -> Group:
    """The problem in words, the rows, and what the columns mean."""
    question = measured.question
    weights = question.pretrained or f"{question.pretrain_steps} steps of SimCLR on digits"
    per_worker = "" if measured.workers == 1 else f" over {measured.workers} workers"
    lowest, highest = measured.curvature
    head = Text(
        f"{question.backbone} ({measured.parameters:,} parameters, {weights}), {question.size} px, "
        f"batch {question.batch}{per_worker}; {measured.device}\n"
        f"{_counted(question.upper_steps, 'upper step')}; H has Ritz values {lowest:.2g} to {highest:.2g}, damping "
        f"{measured.damping:.3g}; tolerance {measured.tolerance:.2g}"
    )
    # Narrow enough for 80 columns: where a table has to shrink, digits are what goes.
    table = Table(box=None, pad_edge=False, collapse_padding=True, header_style="bold")
    table.add_column("way", no_wrap=True)
    figures = ("ms per\nproduct", "pro-\nducts", "ms in\nall", "times\nfaster", "true\nresidual", "error", "peak\nMB")
    for name in figures:
        table.add_column(name, justify="right", vertical="bottom")
    for row in measured.rows:
        table.add_row(row.way, *_cells(row))
    sentences = [
        "residual: |v - (M + H) x| / |v|, H of the whole batch; error: of M x against CG's, the second row; both means "
        f"over the solves.\nNot in the times: {measured.upper_gradients_ms:.0f} ms for the upper steps' gradients "
        "at the lower solution."
    ]
    if measured.cosines:
        least, most = min(measured.cosines), max(measured.cosines)
        sentences.append(f"Cosine of right-hand sides one after another: {least:.2f} to {most:.2f}.")
    sentences.extend(_kernels(measured))
    if measured.damping <= -lowest:
        sentences.append("M + H is not positive definite: CG has no solution to go to, here or in the second row.")
    foot = Text("\n" + " ".join(sentences), style="dim")
    return Group(head, Text(), table, foot, Text(), _costs(measured.rows))


def _costs(rows: list[Row]) -> Table:
    """What each way costs whatever the machine, and where its answers point."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("way", no_wrap=True)
    for name in ("cost in\ngradients of L_P", "times\ncheaper", "cosine\nwith CG's"):
        table.add_column(name, justify="right", vertical="bottom")
    for row in rows:
        cheaper = f"{rows[0].gradients / row.gradients:.1f}x" if row.gradients else ""
        table.add_row(row.way, f"{row.gradients:.0f}", cheaper, f"{row.cosine:.4f}")
    return table


def _kernels(measured: Measurement) -> list[str]:
    """How many kernels a product launches, in the first row of each number."""
    firsts: dict[int, str] = {}
    for row in measured.rows:
        if row.kernels is not None:
            firsts.setdefault(row.kernels, row.way.strip())
    if not firsts:
        return []
    what = "operations" if measured.device.startswith("CPU") else "kernels"
    return [f"A product's {what}: " + "; ".join(f"{way}, {count:,}" for count, way in firsts.items()) + "."]


def _cells(row: Row) -> list[str]:
    return [
        "" if row.product_ms is None else f"{row.product_ms:.0f}" if row.product_ms >= 100 else f"{row.product_ms:.1f}",
        str(row.products),
        f"{row.total_ms:,.0f}",
        f"{row.ratio:.1f}x",
        _short(row.residual),
        _short(row.error),
        f"{row.peak_bytes / 2**20:,.0f}",
    ]


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _short(number: float) -> str:
    """Two digits in six columns: 4.7e-3."""
    return f"{number:.1e}".replace("e-0", "e-").replace("e+00", "").replace("e+0", "e")


def input_table(measured: InputMeasurement) -> Group:
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


def tasks_table(measured: TasksMeasurement) -> Group:
    """A row for each task, and what was measured."""
    question = measured.question
    head = Text(
        f"{question.backbone}, images of {question.size} px, {measured.device}: {question.lower_steps} lower steps of "
        f"{question.lower_batch} images, {question.upper_steps} upper steps of {question.upper_batch}"
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("task")
    for name in ("images per second", "of the first's", "peak MB", "of the first's"):
        table.add_column(name, justify="right")
    first = measured.rows[0]
    for row in measured.rows:
        table.add_row(
            row.task,
            f"{row.rate:,.1f}",
            f"{row.rate / first.rate:.2f}x",
            f"{row.peak_bytes / 2**20:,.0f}",
            f"{row.peak_bytes / first.peak_bytes:.2f}x",
        )
    foot = Text(
        f"\nWhole alternations, batches drawn before; the median of {question.rounds}, the tasks in turn. Images of "
        "both levels and of the Hessian; memory beside models and batches.",
        style="dim",
    )
    return Group(head, Text(), table, foot)
