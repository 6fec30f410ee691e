"""A storage of many sweeps, for the benchmark of the board: drawn figures in the files of the real store."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bissl_ray.config import SearchSpace, load_search_space
from bissl_ray.config.data_choice import DataChoice
from bissl_ray.config.documents import SweepDocument
from bissl_ray.config.requests import SweepRequest
from bissl_ray.config.setting_rules import parameter_types
from bissl_ray.store.documents import versions, write_document
from bissl_ray.store.parquet import encode
from bissl_ray.store.paths import new_file_name, sweep_folder
from bissl_ray.store.schema import PARAMETER_TYPES, SCHEMA_VERSION, file_schema
from bissl_ray.words import PARAMETER_PREFIX, Origin, Phase, Status, Step

_DATASETS: Final = ("cars", "pets", "flowers", "dtd", "aircraft", "food", "caltech101", "sun397", "cifar10", "digits")
_BEGAN: Final = datetime(2026, 1, 1, tzinfo=UTC)
_LATE: Final = 50
"""Trials of a sweep whose newest row stands in a file of its own, as where a compaction has not come by yet."""
_BEHIND: Final = "ASHA: behind half of the trials that came as far"
_TEXTS: Final[Mapping[str, str]] = {
    "objective_name": "top1",
    "device": "NVIDIA H100 80GB HBM3",
    "git": "0123456789ab",
}


def write_store(folder: Path, rows: int, sweeps: int, seed: int = 0) -> int:
    """Write a storage that a lab might have: sweeps of the same length, confirmed, over ten datasets.

    A sweep has explore trials (most of them stopped early, a few failed), the fine-tuning runs of its finalists and of
    its control by the shipped protocol of digits, and looks at the test split. All settings are columns, as in
    every storage; those of the search vary.

    Args:
        folder: to write to.
        rows: in all; each sweep has as many, and never fewer than its protocol takes.
        sweeps: how many.
        seed: of what is drawn.

    Returns:
        How many rows there are.
    """
    space = load_search_space("digits")
    written = 0
    for number in range(sweeps):
        dataset, name = _DATASETS[number % len(_DATASETS)], f"sweep-{number:05d}"
        drawn = np.random.default_rng((seed, number))
        table = pa.Table.from_pydict(_columns(space, max(rows // sweeps, 1), drawn), schema=_schema())
        _write(folder, dataset, name, table)
        request = SweepRequest(name=name, data=DataChoice(dataset=dataset), space=space)
        write_document(folder, name, SweepDocument(request=request, data={}, start="ssl.pth"))
        written += table.num_rows
    return written


def _schema() -> pa.Schema:
    return file_schema("trials", {f"{PARAMETER_PREFIX}{n}": PARAMETER_TYPES[t] for n, t in parameter_types().items()})


def _write(folder: Path, dataset: str, name: str, table: pa.Table) -> None:
    """Write the rows as they came to be: a merged file in which the last trials run, and one in which they ended."""
    place = Path(sweep_folder(str(folder), dataset, name))
    place.mkdir(parents=True)
    late = min(_LATE, table.num_rows)
    running = pa.array([None if i < table.num_rows - late else "running" for i in range(table.num_rows)])
    status = pa.chunked_array([pc.coalesce(running, table["status"].combine_chunks())])
    before = table.set_column(table.column_names.index("status"), "status", status)
    stamp = table.column_names.index("updated_at")
    after = table.slice(table.num_rows - late)
    moment = pc.add(after["updated_at"], pa.scalar(timedelta(hours=1)))
    for part, at in ((before, 1), (after.set_column(stamp, "updated_at", moment), 2)):
        content = encode(part)
        (place / new_file_name("trials", content, _BEGAN + timedelta(days=at))).write_bytes(content)


def _columns(space: SearchSpace, rows: int, drawn: np.random.Generator) -> dict[str, Any]:
    """The columns of one sweep."""
    protocol = space.protocol
    points, seeds, finalists = protocol.finetune_runs, protocol.seeds, protocol.finalists
    explored = max(rows - (finalists + 1) * (points + seeds), finalists)

    def run(parent: str, step: Step, number: int) -> list[tuple[str, str | None, str]]:
        return [(f"{parent}-{step}{i}", parent, step) for i in range(number)]

    told: list[tuple[str, str | None, str]] = [(f"t{i:06d}", None, Step.SEARCH) for i in range(explored)]
    scores = np.clip(drawn.normal(0.7, 0.1, explored), 0.05, 0.99)
    best = np.argsort(-scores)[:finalists]
    for i in best:
        told += run(told[i][0], Step.TUNING, points) + run(told[i][0], Step.SEEDS, seeds)
    told += [(f"control-{i}", None, Step.TUNING) for i in range(points)] + run("control-0", Step.SEEDS, seeds)
    total = len(told)
    ours = explored + finalists * (points + seeds)
    further = drawn.normal(0.9, 0.01, total - explored)
    status = np.where(drawn.random(total) < 0.6, Status.PRUNED, Status.COMPLETE)
    status[drawn.random(total) < 0.01] = Status.FAILED
    status[best], status[explored:] = Status.COMPLETE, Status.COMPLETE
    is_seed = np.array([step == Step.SEEDS for _, _, step in told])
    tested = is_seed & (np.arange(total) >= ours) | (np.array([parent for _, parent, _ in told]) == told[best[0]][0])
    seconds = drawn.lognormal(4, 1, total)
    began = np.datetime64(_BEGAN.replace(tzinfo=None), "us") + (np.arange(total) * 10_000_000).astype("timedelta64[us]")
    ended = began + (seconds * 1e6).astype("timedelta64[us]")
    phases = [Phase.EXPLORE] * explored + [Phase.CONFIRM] * (ours - explored) + [Phase.CONTROL] * (total - ours)
    objective = np.concatenate([scores, further])
    columns: dict[str, Any] = {
        "trial": [name for name, _, _ in told],
        "parent": [parent for _, parent, _ in told],
        "step": [step for _, _, step in told],
        "phase": phases,
        "status": status.tolist(),
        "status_reason": [
            "ASHA: behind half of the trials that came as far" if s == "pruned" else None for s in status
        ],
        "origin": [Origin.TPE if step == Step.SEARCH else step for _, _, step in told],
        "seed": np.where(is_seed, np.arange(total) % seeds, protocol.first_seed),
        "objective": objective,
        "test_metric": pa.array(drawn.normal(0.89, 0.01, total), mask=~tested),
        "alternations": drawn.integers(1, 21, total),
        "hvps": drawn.integers(1, 4000, total),
        "implicit_change": drawn.lognormal(-3, 1, total),
        "cg_residual": drawn.lognormal(-1, 0.5, total),
        "seconds": seconds,
        "gpu_seconds": seconds,
        "peak_memory": drawn.integers(2**28, 2**30, total),
        "workers": np.ones(total, int),
        "attempts": np.ones(total, int),
        "started_at": pa.array(began, pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC")),
        "ended_at": pa.array(ended, pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC")),
        "updated_at": pa.array(ended, pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC")),
        "versions": [versions()] * total,
        "schema_version": np.full(total, SCHEMA_VERSION),
        **{name: [text] * total for name, text in _TEXTS.items()},
    }
    settings = space.settings(space.middle()).model_dump()
    for name, type_ in parameter_types().items():
        value = settings.get(name)
        searched = space.parameters.get(name) or space.finetune_parameters.get(name)
        column: Any = [value] * total
        if searched is not None:
            column = drawn.uniform(searched.low, searched.high, total)  # type: ignore[union-attr]
            column = column.astype(int) if type_ is int else column
        columns[f"{PARAMETER_PREFIX}{name}"] = column
    return {name: columns.get(name, pa.nulls(total)) for name in _schema().names}
