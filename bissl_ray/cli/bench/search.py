"""`bissl-ray bench search`."""

from dataclasses import dataclass
from pathlib import Path

import typer

from bissl_ray.cli.bench.app import Figures, bench
from bissl_ray.cli.flags import takes
from bissl_ray.config.flags import flag
from bissl_ray.errors import BadInputError, nearest


@dataclass(frozen=True, kw_only=True)
class _SearchOptions(Figures):
    """Whose trials teach the task, and how it is searched: see `benchmarks.search_table.measure_search`."""

    sweep: str | None = flag("Sweep of random, whole trials that the task is learnt from.", metavar="NAME")
    storage: str | Path = flag("Folder or URI that holds it.", default="./runs", once="storage")
    trials: int = flag("Explore trials of each search.", default=100, least=2, most=2000)
    seeds: int = flag("Searches of each kind.", default=5, least=2, most=100)
    methods: str | None = flag("Ways to search, with commas between them. [all]", metavar="NAME,NAME")


@bench.command()
@takes(_SearchOptions)
def search(asked: _SearchOptions) -> None:
    """What a search takes to find what the best of full random trials is worth; what explore objectives are worth."""
    from bissl_ray.benchmarks.search import METHODS
    from bissl_ray.benchmarks.search_table import measure_search, search_tables
    from bissl_ray.cli.leaderboard import damage, end
    from bissl_ray.store import read_reports, read_trials, to_rows
    from bissl_ray.store.documents import read_sweep_document
    from bissl_ray.store.paths import absolute_storage

    methods = list(METHODS) if asked.methods is None else [name.strip() for name in asked.methods.split(",")]
    for name in methods:
        if name not in METHODS:
            raise BadInputError(f"--methods {name}: expected some of {', '.join(METHODS)}{nearest(name, METHODS)}")
    asked.check()
    if asked.sweep is None:
        raise BadInputError(
            "--sweep: give one whose trials teach the task: of protocol sampler: random, early_stopping: false"
        )
    storage = absolute_storage(asked.storage)
    request = read_sweep_document(storage, asked.sweep).request
    with damage() as notes:
        rows = to_rows(read_trials(storage, request.dataset, request.name))
        reports = to_rows(read_reports(storage, request.dataset, request.name))
    for note in notes:
        typer.echo(note, err=True)
    measured = measure_search(
        request.name,
        request.space,
        rows,
        reports,
        methods,
        asked.trials,
        asked.seeds,
        lambda s: typer.echo(s, err=True),
    )
    asked.write(measured, search_tables(measured))
    end(notes)
