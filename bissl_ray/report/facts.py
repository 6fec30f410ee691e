"""What a report reads of a storage: sweeps, with all that is known of them, and comparisons."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from bissl_ray.config.documents import ComparisonDocument, SweepDocument
from bissl_ray.config.protocol import Protocol
from bissl_ray.errors import BadInputError, nearest
from bissl_ray.leaderboard.ranking import rank
from bissl_ray.leaderboard.verdict import Verdict, verdicts
from bissl_ray.metrics import Metric, of_objective
from bissl_ray.search.records import Record, records_from_store
from bissl_ray.search.study import StoredStudy, stored_study
from bissl_ray.store import read_reports, read_trials, to_rows
from bissl_ray.store.documents import read_document, read_sweep_document
from bissl_ray.store.filesystem import is_there, listed, open_storage
from bissl_ray.store.paths import sweep_names
from bissl_ray.store.schema import Row
from bissl_ray.words import Kind, Step

_OF_CURVES: Final = ("trial", "stage", "alternation", "objective", "seconds")


@dataclass(frozen=True)
class SweepFacts:
    """One sweep.

    Attributes:
        name: its name.
        storage: that holds it, as a person named it.
        document: its sweep.json; None where that can't be read.
        problem: why not, in a line.
        trials: its rows.
        reports: all its reports, as a table: a long sweep has too many for rows.
    """

    name: str
    storage: str
    document: SweepDocument | None
    problem: str | None
    trials: Sequence[Row]
    reports: pa.Table

    @property
    def dataset(self) -> str:
        """That it is on."""
        if self.document is not None:
            return self.document.request.dataset
        return str(self.trials[0]["dataset"]) if self.trials else "?"

    @property
    def protocol(self) -> Protocol | None:
        """That it runs by; None: not known."""
        return None if self.document is None else self.document.request.space.protocol

    @cached_property
    def ranked(self) -> list[Row]:
        """Its rows of the board, those on the front marked."""
        rows = rank(self.trials)
        front = set(() if self.verdict is None else self.verdict.front)
        for row in rows:
            if front and row["kind"] == Kind.BISSL:
                row["on_front"] = row["trial"] in front
        return rows

    @cached_property
    def verdict(self) -> Verdict | None:
        """What it found out; None before it has a trial."""
        return next(iter(verdicts(self.trials, self.storage)), None)

    @cached_property
    def metric(self) -> Metric:
        """What its scores are."""
        names = (row["objective_name"] for row in self.trials if row["objective_name"] is not None)
        return of_objective(next(names, None))

    @property
    def explored(self) -> list[Row]:
        """Rows of its explore trials."""
        return [row for row in self.trials if row["step"] == Step.SEARCH]

    @cached_property
    def curves(self) -> list[Row]:
        """Of every report the columns that tell of a curve."""
        return to_rows(self.reports.select(list(_OF_CURVES)))

    @cached_property
    def records(self) -> list[Record]:
        """Its explore trials, in the order proposed."""
        return records_from_store(self.explored, self.curves)

    @cached_property
    def study(self) -> StoredStudy | None:
        """What it explored, as a study of Optuna; None where what was searched is not known."""
        if self.document is None:
            return None
        return stored_study(self.name, self.document.request.space, self.records, self.metric)

    def reports_of(self, trials: Collection[str]) -> list[Row]:
        """Every column of the reports of some trials."""
        wanted = pc.is_in(self.reports["trial"], value_set=pa.array(sorted(trials), pa.string()))
        return to_rows(self.reports.filter(wanted))


@dataclass(frozen=True)
class Subject:
    """What a report is asked of by one name.

    Attributes:
        name: of a comparison, or of a sweep.
        sweeps: it, or those of the comparison that have begun.
        board: what the comparison found; None: the name is a sweep's.
        waiting: sweeps of the comparison that have not begun.
    """

    name: str
    sweeps: Sequence[SweepFacts]
    board: Any = None
    waiting: Sequence[str] = ()


def read_subject(storage: str, name: str) -> Subject:
    """Read a comparison or a sweep by its name; a comparison first, where both have it.

    Raises:
        BadInputError: there is neither, or the document of the comparison can't be read.
    """
    names, compared = sweep_names(storage), comparison_names(storage)
    if name in compared:
        document = read_document(storage, name, ComparisonDocument)
        if document is not None:
            return _comparison(storage, document, names)
    if name not in names and not (rows := _stored(storage, name)):
        raise BadInputError(_unknown(storage, name, names, compared))
    return Subject(name, [read_sweep(storage, name) if name in names else _without_document(storage, name, rows)])


def comparison_names(storage: str) -> list[str]:
    """The comparisons of a storage, by name."""
    filesystem, base = open_storage(storage)
    files = (info.base_name for info in listed(filesystem, f"{base}/comparisons"))
    return sorted(file.removesuffix(".json") for file in files if file.endswith(".json"))


def read_sweep(storage: str, name: str) -> SweepFacts:
    """Read a sweep that has a document, though that may be damaged."""
    try:
        document, problem = read_sweep_document(storage, name), None
    except BadInputError as error:
        document, problem = None, str(error)
    dataset = None if document is None else document.request.dataset
    trials = to_rows(read_trials(storage, dataset, name))
    return SweepFacts(name, storage, document, problem, trials, read_reports(storage, dataset, name))


def _without_document(storage: str, name: str, trials: list[Row]) -> SweepFacts:
    problem = f"there is no sweep.json of {name} in {storage}"
    return SweepFacts(name, storage, None, problem, trials, read_reports(storage, None, name))


def _stored(storage: str, name: str) -> list[Row]:
    return to_rows(read_trials(storage, None, name))


def _comparison(storage: str, document: ComparisonDocument, names: Sequence[str]) -> Subject:
    from bissl_ray.compare.results import board_of  # brings torch, for the datasets' metrics

    asked = document.comparison
    own = list(dict.fromkeys(case.sweep for case in asked.cases))
    begun = [read_sweep(storage, name) for name in own if name in names]
    waiting = [name for name in own if name not in names]
    return Subject(asked.name, begun, board_of(asked, storage), waiting)


def _unknown(storage: str, name: str, sweeps: Sequence[str], compared: Sequence[str]) -> str:
    if not is_there(storage):
        return (
            f"storage {storage!r}: found no such folder; give the one that the sweep wrote to with --storage, or start "
            "a sweep with `bissl-ray sweep`"
        )
    every = list(dict.fromkeys([*compared, *sweeps]))
    if not every:
        return f"no sweep {name!r} in {storage}: it holds none yet; start one with `bissl-ray sweep`"
    few = f"it holds {', '.join(every)}" if len(every) <= 12 else f"it holds {len(every)} of them"
    return f"no sweep or comparison {name!r} in {storage}: {few}{nearest(name, every)}"
