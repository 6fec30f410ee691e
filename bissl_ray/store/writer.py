"""Writes the trials and reports of one sweep as they come, so that a killed process loses nearly nothing."""

import errno
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pyarrow as pa
import pyarrow.compute as pc

from bissl_ray.errors import BadInputError
from bissl_ray.store.fence import Anyones, Files
from bissl_ray.store.filesystem import open_storage
from bissl_ray.store.parquet import encode
from bissl_ray.store.paths import check_name, list_files, named_at, new_file_name, sweep_folder
from bissl_ray.store.patience import PATIENCE_S, Pauses, briefly
from bissl_ray.store.reader import compact, read_reports, read_trials
from bissl_ray.store.schema import (
    ALLOWED,
    COLUMNS,
    PARAMETER_TYPES,
    PATH_COLUMNS,
    REQUIRED,
    SCHEMA_VERSION,
    Row,
    RowKind,
    coerce,
    file_schema,
    report_key,
)
from bissl_ray.store.tables import to_rows
from bissl_ray.words import PARAMETER_PREFIX
from bissl_ray.world import world

_FLUSH_INTERVAL: Final = 0.3  # seconds; rows wait so long for company
_LAST_INTERVAL: Final = 0.5  # seconds between the last tries
_LAST_TRIES: Final = 3
_MOST_SMALL_FILES: Final = 32
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FILLED_IN: Final = frozenset({*PATH_COLUMNS, "updated_at", "schema_version"})


class SweepWriter:
    """Takes rows from any thread and has them on disk half a second later.

    A storage that refuses stops nothing: rows wait in memory and are tried again, `trouble` says so meanwhile, and
    `close` raises if they can't be written in the end. A refusal other than a full disk is raised at the next call
    once it has lasted an hour.
    """

    def __init__(
        self,
        storage: str | Path,
        dataset: str,
        sweep: str,
        parameters: Mapping[str, type],
        files: Files | None = None,
    ) -> None:
        """Open a new sweep, or an existing one with the rows it has.

        Args:
            storage: a local path or a URI that pyarrow knows.
            dataset: name of the dataset.
            sweep: name of the sweep.
            parameters: hyperparameter (no prefix) -> float, int, bool or str. Giving all settings of a
                trial, searched or not, keeps the columns of all sweeps alike.
            files: writes and removes the files of rows, for as long as the sweep is held; None: nobody holds it.

        Raises:
            BadInputError: a name can't be used, or the sweep has a parameter stored under another type.
            ValueError: a parameter has a type that no column holds.
            OSError: the storage refuses.
        """
        for name, type_ in parameters.items():
            if type_ not in PARAMETER_TYPES:
                raise ValueError(f"parameter {name} has type {type_}; a column holds float, int, bool or str")
        self._storage = storage
        self._filesystem, self._base = open_storage(storage)
        self._hand = files or Anyones(self._filesystem)
        self._dataset, self._sweep = check_name("dataset", dataset), check_name("sweep", sweep)
        self._types: dict[str, pa.DataType] = {
            PARAMETER_PREFIX + name: PARAMETER_TYPES[type_] for name, type_ in parameters.items()
        }
        self._trials: dict[str, Row] = {}
        self._last_stamp = self._hand.after
        self._load(read_trials(storage, dataset, sweep, surely=True))
        self._filesystem.create_dir(sweep_folder(self._base, dataset, sweep), recursive=True)
        there = {kind: list_files(self._filesystem, self._base, kind, dataset, sweep) for kind in COLUMNS}
        self._written = set(self._trials)
        """Trials that have a row on disk."""
        self._files: dict[RowKind, int] = {kind: len(files) for kind, files in there.items()}
        self._last_stamp = max([self._last_stamp, *(named_at(f.path) for files in there.values() for f in files)])
        self._waiting: dict[RowKind, list[Row]] = {"trials": [], "reports": []}
        self._to_do: list[Callable[[], None]] = []
        """What follows when the rows that wait are on disk."""
        self._rows_changed = world().condition()
        self._writing = world().lock()
        self._closing = world().event()
        self._failing_since: float | None = None
        self._pauses = Pauses()
        self._trouble: Exception | None = None
        self._thread = world().start(self._write_until_closed, f"store-{sweep}")

    @property
    def dataset(self) -> str:
        """Of the sweep."""
        return self._dataset

    @property
    def trouble(self) -> str | None:
        """One line on why rows wait in memory at the moment, or None."""
        error = self._trouble
        if error is None:
            return None
        with self._rows_changed:
            waiting = sum(len(rows) for rows in self._waiting.values())
        what = f"{waiting} rows" if waiting else "rows"  # where they are just being tried again
        return f"{what} of sweep {self._sweep} wait in memory: {briefly(error)}"

    @property
    def trials(self) -> list[Row]:
        """The newest row of every trial of the sweep, written or waiting, as `read_trials` gives them."""
        empty: Row = dict.fromkeys([*COLUMNS["trials"], *self._types])
        path = {"dataset": self._dataset, "sweep": self._sweep}
        with self._rows_changed:
            return [empty | row | path for row in self._trials.values()]

    def stamp(self) -> datetime:
        """The time, later than of any row before, those of another machine's clock among them."""
        with self._rows_changed:
            return self._stamp()

    def trial(self, row: Mapping[str, Any], then: Callable[[], None] | None = None) -> None:
        """Write a trial, or change one: columns that `row` leaves out keep the value last known.

        Args:
            row: columns of a trial; `trial` always, `status`, `phase` and `step` the first time.
            then: called by the writing thread when the row is on disk; what it raises of a storage is let go.

        Raises:
            ValueError: an unknown column, a value that doesn't fit, or a missing column; nothing is written.
            Exception: what the writing thread met.
        """
        self._raise_failure()
        checked = self._checked("trials", row)
        with self._rows_changed:
            whole = self._trials.get(str(checked.get("trial")), {}) | checked
            _require("trials", whole)
            whole |= {"updated_at": self._stamp(), "schema_version": SCHEMA_VERSION}
            self._trials[whole["trial"]] = whole
            self._waiting["trials"].append(whole)
            self._to_do += [] if then is None else [then]
            self._rows_changed.notify_all()

    def report(self, row: Mapping[str, Any]) -> None:
        """Write one report of a trial.

        Args:
            row: columns of a report; `trial` and `stage` always; `reported_at` is now if left out.

        Raises:
            ValueError: an unknown column, a value that doesn't fit, or a missing column; nothing is written.
            Exception: what the writing thread met.
        """
        self._raise_failure()
        checked = self._checked("reports", row)
        _require("reports", checked)
        with self._rows_changed:
            whole = {"reported_at": self._stamp()} | checked
            self._waiting["reports"].append(whole | {"schema_version": SCHEMA_VERSION})
            self._rows_changed.notify_all()

    def reported(self, trial: str) -> set[tuple[Any, ...]]:
        """Which reports of a trial there are, written or waiting, each as `report_key` has it (raises OSError)."""
        with self._rows_changed:
            waiting = [row for row in self._waiting["reports"] if row["trial"] == trial]
        written = read_reports(self._storage, self._dataset, self._sweep, surely=True)
        rows = to_rows(written.filter(pc.equal(written["trial"], trial)))
        return {report_key(row) for row in (*rows, *waiting)}

    def flush(self) -> None:
        """Write what waits, now: a trial's row before its reports, and before that what the trial has come to by them.

        Raises:
            OSError: the storage refuses; the rows still wait.
        """
        with self._writing:
            with self._rows_changed:
                waiting, self._waiting = self._waiting, {kind: [] for kind in COLUMNS}
                to_do, self._to_do = self._to_do, []
            trials, reports = waiting["trials"], waiting["reports"]
            told = {row["trial"] for row in reports} - self._written
            begun = {row["trial"]: row for row in reversed(trials) if row["trial"] in told}
            try:
                self._write("trials", list(begun.values()))
                self._write("reports", reports)
                reports = []
                newest = {row["trial"]: row for row in trials}
                self._write("trials", [row for name, row in newest.items() if begun.get(name) is not row])
            except Exception as error:
                with self._rows_changed:
                    self._waiting = {
                        "trials": trials + self._waiting["trials"],
                        "reports": reports + self._waiting["reports"],
                    }
                    self._to_do = to_do + self._to_do
                self._trouble = error
                if self._failing_since is None:
                    self._failing_since = world().monotonic()
                raise
            self._trouble = self._failing_since = None
            self._pauses = Pauses()
        for do in to_do:
            with suppress(OSError):  # a file too many is left behind
                do()

    def close(self) -> None:
        """Write what waits, merge the sweep's files and stop the thread. Closing twice does nothing.

        Raises:
            OSError: rows could not be written; the line says how many and why.
        """
        if self._closing.is_set():
            return
        self._closing.set()
        with self._rows_changed:
            self._rows_changed.notify_all()
        self._thread.join()
        self._flush_for_good()
        with suppress(OSError):  # merging only tidies up: every row is on disk
            for kind in COLUMNS:
                self._merge(kind)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _load(self, table: pa.Table) -> None:
        """Take over the rows of an existing sweep, so that partial updates are merged over them."""
        for field in table.schema:
            if field.name.startswith(PARAMETER_PREFIX):
                self._types.setdefault(field.name, field.type)
        types = COLUMNS["trials"] | self._types
        # A column that holds its own type holds nothing else: of ten thousand trials it takes seconds to look at each.
        fits = {
            field.name for field in table.schema if field.type == types.get(field.name) and field.name not in ALLOWED
        }
        for row in to_rows(table):
            try:
                known = {
                    name: value if name in fits else coerce(name, types[name], value)
                    for name, value in row.items()
                    if name in types
                }
            except ValueError as error:
                raise BadInputError(
                    f"sweep {self._sweep} has parameters stored as other types ({error}); use another --name"
                ) from None
            self._trials[row["trial"]] = known
            if known["updated_at"] is not None:
                self._last_stamp = max(self._last_stamp, known["updated_at"])

    def _checked(self, kind: RowKind, row: Mapping[str, Any]) -> Row:
        types = COLUMNS[kind] | (self._types if kind == "trials" else {})
        unknown = [name for name in row if name not in types or name in _FILLED_IN]
        if unknown:
            raise ValueError(f"a row of {kind} has no column {', '.join(unknown)} for its writer to fill")
        return {name: coerce(name, types[name], value) for name, value in row.items()}

    def _write_until_closed(self) -> None:
        while not self._closing.is_set():
            with self._rows_changed:
                self._rows_changed.wait_for(lambda: self._closing.is_set() or any(self._waiting.values()))
            pause = _FLUSH_INTERVAL if self._trouble is None else self._pauses.longer()
            if self._closing.wait(pause):
                return
            # Whatever went wrong is kept and raised where the caller sees it; the rows wait.
            with suppress(Exception):
                self.flush()

    def _write(self, kind: RowKind, rows: list[Row]) -> None:
        """Write rows of one kind as one file."""
        if not rows:
            return
        schema = file_schema(kind, self._types if kind == "trials" else {})
        folder = sweep_folder(self._base, self._dataset, self._sweep)
        data = encode(pa.Table.from_pylist(rows, schema=schema))
        self._hand.write(f"{folder}/{new_file_name(kind, data, self._last_stamp)}", data)
        if kind == "trials":
            self._written |= {row["trial"] for row in rows}
        self._files[kind] += 1
        if self._files[kind] > _MOST_SMALL_FILES:
            with suppress(OSError):  # tried again at the next file
                self._merge(kind)

    def _merge(self, kind: RowKind) -> None:
        self._files[kind] = compact(self._filesystem, self._hand, self._base, kind, self._dataset, self._sweep)

    def _stamp(self) -> datetime:
        self._last_stamp = max(world().now(), self._last_stamp + timedelta(microseconds=1))
        return self._last_stamp

    def _raise_failure(self) -> None:
        """Raise what the thread met, unless it may pass by itself."""
        if self._closing.is_set():
            raise ValueError(f"the writer of sweep {self._sweep} is closed")
        error = self._trouble
        if error is not None and not self._may_pass(error):
            raise error

    def _may_pass(self, error: Exception) -> bool:
        """Whether rows may yet be written that could not be."""
        if getattr(error, "errno", None) in _NO_ROOM:
            return True
        waited = world().monotonic() - (self._failing_since or world().monotonic())
        return isinstance(error, OSError | pa.ArrowException) and waited < PATIENCE_S

    @property
    def waits(self) -> bool:
        """Whether rows wait in memory that may yet be written."""
        error = self._trouble
        return error is not None and self._may_pass(error)

    def _flush_for_good(self) -> None:
        for left in reversed(range(_LAST_TRIES)):
            try:
                self.flush()
                return
            except OSError as error:
                if not left:
                    raise OSError(
                        error.errno,
                        f"{self.trouble}; they are lost with this process. Make room and resume the sweep: "
                        f"trials that were under way run again",
                    ) from error
            world().sleep(_LAST_INTERVAL)


def _require(kind: RowKind, row: Row) -> None:
    missing = [name for name in REQUIRED[kind] if row.get(name) is None]
    if missing:
        raise ValueError(f"a row of {kind} needs {', '.join(missing)}")
