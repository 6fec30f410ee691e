"""The rows of one sweep as another process writes them: each file is read once, however often one looks."""

from typing import Final

from bissl_ray.progress import Track
from bissl_ray.store.filesystem import open_storage
from bissl_ray.store.paths import list_files
from bissl_ray.store.reader import read_files
from bissl_ray.store.schema import COLUMNS, Row, RowKind
from bissl_ray.store.tables import to_rows, unify

_LISTINGS: Final = 20
"""Of one look: a compaction between listing and reading takes files away."""


class Feed:
    """Follows a sweep.

    A look costs two listings of the sweep's folder of rows, and the files that are new since the last one; a file
    holds the same for ever, under the same name. What a compaction merges is read once more.

    Attributes:
        tracks: what each trial has reported.
        damaged: a line on each file that can't be read.
    """

    def __init__(self, storage: str, dataset: str, sweep: str) -> None:
        """Set up; nothing is read yet."""
        self._filesystem, self._base = open_storage(storage)
        self._dataset, self._sweep = dataset, sweep
        self._seen: dict[RowKind, set[str]] = {"trials": set(), "reports": set()}
        self._wrong: dict[RowKind, list[str]] = {}
        self._rows: dict[str, Row] = {}
        self._columns: dict[str, None] = dict.fromkeys(COLUMNS["trials"])
        self.tracks: dict[str, Track] = {}

    @property
    def trials(self) -> list[Row]:
        """The newest row of every trial, as `read_trials` gives them."""
        empty = dict.fromkeys(self._columns)
        return [{**empty, **row} for row in self._rows.values()]

    def row(self, trial: str) -> Row:
        """The newest row of a trial."""
        return self._rows[trial]

    @property
    def damaged(self) -> list[str]:
        """Lines on files that can't be read."""
        return [line for lines in self._wrong.values() for line in lines]

    def look(self) -> bool:
        """Take in what is new; whether anything is.

        Raises:
            OSError: the storage refuses to list.
        """
        # A report may be on disk before the row that says what its trial has come to by it: rows last.
        reports, trials = self._new("reports"), self._new("trials")
        for row in reports:
            self.tracks.setdefault(row["trial"], Track()).report(row)
        for row in trials:
            known = self._rows.get(row["trial"])
            if known is None or row["updated_at"] >= known["updated_at"]:
                self._rows[row["trial"]] = row
                self._columns |= dict.fromkeys(row)
        return bool(reports or trials)

    def _new(self, kind: RowKind) -> list[Row]:
        for remaining in reversed(range(_LISTINGS)):
            there = list_files(self._filesystem, self._base, kind, self._dataset, self._sweep)
            fresh = [stored for stored in there if stored.path not in self._seen[kind]]
            try:
                read, damaged = read_files(self._filesystem, fresh)
                break
            except FileNotFoundError:
                if not remaining:
                    raise
        paths = {stored.path for stored in there}
        self._wrong[kind] = [each.line for each in damaged]
        # One that the storage refuses, or that is not as it was written, is tried again.
        self._seen[kind] = paths - {each.stored.path for each in damaged}
        return to_rows(unify([table for _, table in read], kind)) if read else []
