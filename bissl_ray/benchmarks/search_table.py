"""What `bench search` measures, and its tables."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean, geometric_mean

from rich.console import Group
from rich.table import Table
from rich.text import Text

from bissl_ray.benchmarks.objectives import Worth, worths
from bissl_ray.benchmarks.search import WARM_TRIALS, Found, searched
from bissl_ray.benchmarks.surrogate import Surrogate
from bissl_ray.config.search_space import SearchSpace
from bissl_ray.search.records import Record, records_from_store
from bissl_ray.statistics import Estimate, estimate
from bissl_ray.store.schema import Row
from bissl_ray.words import Status, Step


@dataclass(frozen=True)
class MethodRow:
    """How one way of searching did.

    Attributes:
        method: its name.
        shares: by seed, of the alternations of all random trials, until it had found as much; None: it never did.
        ahead: by seed, what its point was worth at its end, less that of the random trials: a fraction.
        spent: by seed, alternations in all, as a share of those of the random trials.
    """

    method: str
    shares: list[float | None]
    ahead: list[float]
    spent: list[float]


@dataclass(frozen=True)
class SearchMeasurement:
    """All of it.

    Attributes:
        sweep: whose trials have taught the task.
        learnt_from: trials.
        explained: share of the spread of their scores that the task's model explains, out of bag.
        alternations: of a trial.
        trials: of each search.
        rows: a way of searching each.
        worths: what explore objectives are worth; empty where the sweep has confirmed too few configurations.
    """

    sweep: str
    learnt_from: int
    explained: float
    alternations: int
    trials: int
    rows: list[MethodRow] = field(default_factory=list)
    worths: list[Worth] = field(default_factory=list)


def measure_search(
    sweep: str,
    space: SearchSpace,
    rows: Sequence[Row],
    reports: Sequence[Row],
    methods: Sequence[str],
    trials: int,
    seeds: int,
    say: Callable[[str], None],
) -> SearchMeasurement:
    """Learn the task from a stored sweep, and search it in each way over several seeds.

    Args:
        sweep: its name.
        space: that it searched.
        rows: its trials.
        reports: its reports.
        methods: names of `METHODS`.
        trials: explore trials of each search.
        seeds: protocol seeds, each with luck of its own.
        say: called with a line now and then.

    Raises:
        BadInputError: as `Surrogate`.
    """
    records = records_from_store(rows, reports)
    task = Surrogate(space, [r for r in records if _whole(r)])
    random = [searched(task, space, "random", trials, seed) for seed in range(seeds)]
    measured = SearchMeasurement(sweep, task.trials, task.explained, task.alternations, trials)
    for method in methods:
        say(f"{method}: {seeds} searches of {trials} trials")
        found = random if method == "random" else [searched(task, space, method, trials, s) for s in range(seeds)]
        measured.rows.append(_row(method, found, random))
    measured.worths.extend(worths(rows, reports))
    return measured


def _whole(record: Record) -> bool:
    return record.step == Step.SEARCH and record.status == Status.COMPLETE and record.scored


def _row(method: str, found: Sequence[Found], random: Sequence[Found]) -> MethodRow:
    shares: list[float | None] = []
    for own, other in zip(found, random, strict=True):
        until = own.until(other.worth[-1])
        shares.append(None if until is None else until / other.total)
    both = list(zip(found, random, strict=True))
    return MethodRow(
        method,
        shares,
        [(own.worth[-1] if own.worth else math.nan) - other.worth[-1] for own, other in both],
        [own.total / other.total for own, other in both],
    )


def search_tables(measured: SearchMeasurement) -> Group:
    """A row for each way of searching, one for each objective, and how to read them."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("search")
    for name in ("found", "after", "from, to", "in all", "ahead", "95 %"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in measured.rows:
        known = [share for share in row.shares if share is not None]
        table.add_row(
            row.method,
            f"{len(known)} of {len(row.shares)}",
            f"{geometric_mean(known):.2f}" if known else "",
            f"{min(known):.2f} to {max(known):.2f}" if known else "",
            f"{fmean(row.spent):.2f}",
            *_points(estimate([gain for gain in row.ahead if math.isfinite(gain)])),
        )
    parts: list[Table | Text] = [
        Text(
            f"A task as {measured.learnt_from} trials of sweep {measured.sweep} taught it (a forest explains "
            f"{measured.explained:.0%} of the spread of their scores, out of bag)"
        ),
        Text(),
        table,
        Text(
            f"\nFound: from some moment on, the point of the best trial so far is worth over seeds what that of the "
            f"best of {measured.trials} full random trials is. After: this share of their compute, the geometric mean "
            "over the searches that found it, and the least and the most. In all: what the search took. Ahead: what "
            f'its point is worth in the end beyond theirs, points. "warm" starts from {WARM_TRIALS} random trials '
            "before it, which are not counted.",
            style="dim",
        ),
    ]
    if measured.worths:
        parts += [Text(), _worths(measured.worths)]
    return Group(*parts)


def _worths(found: Sequence[Worth]) -> Table:
    table = Table(
        title=f"Rank correlation with the mean after fine-tuning, {found[0].configurations} configurations",
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        header_style="bold",
    )
    columns = sorted({worth.alternation for worth in found})
    table.add_column("judged by")
    for at in columns:
        table.add_column(f"after {at}", justify="right", no_wrap=True)
    for judge in dict.fromkeys(worth.judge for worth in found):
        own = {worth.alternation: worth for worth in found if worth.judge == judge}
        table.add_row(judge, *(_rho(own.get(at)) for at in columns))
    return table


def _rho(worth: Worth | None) -> str:
    return "" if worth is None else f"{worth.rho:+.2f} ({worth.low:+.2f}..{worth.high:+.2f})"


def _points(found: Estimate | None) -> tuple[str, str]:
    """A mean in points, and its interval."""
    if found is None:
        return "", ""
    known = found.low is not None and found.high is not None
    ends = f"{100 * found.low:+.1f} to {100 * found.high:+.1f}" if known else ""  # type: ignore[operator]
    return f"{100 * found.mean:+.1f}", ends
