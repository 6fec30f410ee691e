"""The leaderboard over storages of many rows: whole processes, beside DuckDB's answer from the same files."""

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from bissl_ray.benchmarks.board_store import write_store
from bissl_ray.errors import RunFailedError

_FEWEST: Final = 50
"""Rows of a sweep, or it would be nothing but confirmation runs."""
_QUESTION: Final = """
import duckdb, sys
duckdb.sql(f'''
  with written as (
    select * from read_parquet('{sys.argv[1]}/results/*/*/trials-*.parquet', hive_partitioning = true)
  ), trials as (
    select dataset, sweep, trial, parent, step, phase, status, objective, test_metric from written
    qualify row_number() over (partition by dataset, sweep, trial order by updated_at desc) = 1
  ), confirmed as (
    select dataset, sweep, coalesce(parent, trial) as trial, count(objective) as seeds, avg(objective) as mean,
      avg(test_metric) as test
    from trials where step = 'seeds' and status = 'complete' group by all
  )
  select trials.*, seeds, mean, test from trials left join confirmed using (dataset, sweep, trial) where parent is null
  qualify row_number() over (
    partition by dataset order by seeds is null, seeds desc, coalesce(mean, trials.objective) desc
  ) <= 20
''').fetchall()
"""
"""The first twenty configurations of each dataset by the newest rows, in DuckDB's own words."""


@dataclass(frozen=True)
class BoardRun:
    """A storage, and what it takes to ask it.

    Attributes:
        rows: of trials.
        sweeps: that they are of.
        size: bytes of the files.
        seconds: of `bissl-ray leaderboard` as a whole process, the median.
        memory: bytes that it held at most, resident.
        duckdb_seconds: of a process that asks DuckDB; None where it is not installed.
        duckdb_memory: likewise.
    """

    rows: int
    sweeps: int
    size: int
    seconds: float
    memory: int
    duckdb_seconds: float | None
    duckdb_memory: int | None


@dataclass(frozen=True)
class BoardMeasurement:
    """All of it.

    Attributes:
        processors: that the processes had.
        repeats: processes of each kind.
        runs: one for each storage.
    """

    processors: int
    repeats: int
    runs: list[BoardRun] = field(default_factory=list)


def measure_board(rows: Sequence[int], sweeps: int, repeats: int, say: Callable[[str], None]) -> BoardMeasurement:
    """Write storages of drawn trials, and time the board over each.

    Args:
        rows: of each storage.
        sweeps: that they are of; fewer where these would have less than fifty rows.
        repeats: processes of each kind, in turns.
        say: hears how far it is.

    Raises:
        RunFailedError: a process failed; the message holds what it said.
    """
    measured = BoardMeasurement(len(os.sched_getaffinity(0)), repeats)
    with_duckdb = importlib.util.find_spec("duckdb") is not None
    for wanted in rows:
        with tempfile.TemporaryDirectory(prefix="bissl-ray-") as folder:
            number = max(1, min(sweeps, wanted // _FEWEST))
            written = write_store(Path(folder), wanted, number)
            say(f"{written:,} rows written")
            ways = {"board": ["-m", "bissl_ray", "leaderboard", "--storage", folder]}
            if with_duckdb:
                ways["duckdb"] = ["-c", _QUESTION, folder]
            taken: dict[str, list[tuple[float, int]]] = {way: [] for way in ways}
            for _ in range(repeats):
                for way, arguments in ways.items():
                    taken[way].append(_run(arguments))
            files = Path(folder, "results").rglob("*.parquet")
            size = sum(path.stat().st_size for path in files)
        seconds = {way: median(seconds for seconds, _ in runs) for way, runs in taken.items()}
        memory = {way: max(memory for _, memory in runs) for way, runs in taken.items()}
        measured.runs.append(
            BoardRun(
                rows=written,
                sweeps=number,
                size=size,
                seconds=seconds["board"],
                memory=memory["board"],
                duckdb_seconds=seconds.get("duckdb"),
                duckdb_memory=memory.get("duckdb"),
            )
        )
        say(f"{written:,} rows: {seconds['board']:.2f} s")
    return measured


def board_table(measured: BoardMeasurement) -> Group:
    """A row for each storage."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("rows", "sweeps", "files, MB", "board, s", "MB", "DuckDB, s", "MB", "ratio"):
        table.add_column(name, justify="right", no_wrap=True)
    for run in measured.runs:
        other = ["", "", ""]
        if run.duckdb_seconds is not None and run.duckdb_memory is not None:
            ratio = run.seconds / run.duckdb_seconds
            other = [f"{run.duckdb_seconds:.2f}", f"{run.duckdb_memory / 1e6:.0f}", f"{ratio:.2f}"]
        own = [f"{run.seconds:.2f}", f"{run.memory / 1e6:.0f}"]
        table.add_row(f"{run.rows:,}", f"{run.sweeps:,}", f"{run.size / 1e6:.1f}", *own, *other)
    return Group(
        Text(f"Whole processes on {measured.processors} processors, the median of {measured.repeats} each, in turns"),
        Text(),
        table,
        Text(
            "\nboard: `bissl-ray leaderboard`, all datasets, with the verdict on every sweep; files are held against "
            "their checksums. DuckDB: the first twenty configurations of each dataset, of the same files.",
            style="dim",
        ),
    )


def _run(arguments: Sequence[str]) -> tuple[float, int]:
    """Run Python, and give the seconds and the most bytes that it held."""
    begin = time.monotonic()
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=said) as process,
    ):
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - begin
        if process.returncode:
            said.seek(0)
            raise RunFailedError(f"{arguments[:3]} ended with {process.returncode}: {said.read().decode()[-2000:]}")
    return seconds, usage.ru_maxrss * 1024
