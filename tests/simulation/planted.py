"""Faults that were once ours, put back on purpose: what a simulation that finds nothing must be able to find."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Final
from unittest.mock import patch

from bissl_ray.search.forecast import Forecast
from bissl_ray.store import fence, lock, reader, schema, tables, writer
from bissl_ray.training.account import Account
from bissl_ray.training.order import Order
from bissl_ray.words import Status


@contextmanager
def lock_that_two_hold() -> Iterator[None]:
    """Issue 18.2: whoever looks sees nobody's claim but its own."""
    with patch.object(lock, "_claims", lambda filesystem, folder: []):
        yield


@contextmanager
def reports_that_overwrite_each_other() -> Iterator[None]:
    """Issue 18.3: several reports of one epoch have one key."""
    keys = {**schema.KEYS, "reports": tuple(name for name in schema.KEYS["reports"] if name != "finetune_step")}
    with patch.object(tables, "KEYS", keys):
        yield


@contextmanager
def holder_that_looks_and_writes() -> Iterator[None]:
    """Issue 18.2: who stood still between looking whether it holds the sweep and writing, writes."""
    with patch.object(fence, "moves", lambda filesystem: False):
        yield


@contextmanager
def what_was_heard_is_forgotten() -> Iterator[None]:
    """A report that a driver had heard and not yet written down when it was killed is told by nobody."""
    go_on = Account.go_on
    with patch.object(Account, "go_on", lambda self, totals, seconds, told=(): go_on(self, totals, seconds)):
        yield


@contextmanager
def checkpoint_of_anybody() -> Iterator[None]:
    """A trial goes on from a checkpoint of another of its name."""
    with patch.object(Order, "identity", "the same"):
        yield


@contextmanager
def files_left_out() -> Iterator[None]:
    """A sweep is rebuilt without a file that the storage refuses for a moment."""
    whole = reader._read

    def some(storage, kind, dataset, sweep, surely):  # type: ignore[no-untyped-def]
        return whole(storage, kind, dataset, sweep, False)

    with patch.object(reader, "_read", some), patch.object(reader, "_TRIES", 1):
        yield


@contextmanager
def forecast_of_none() -> Iterator[None]:
    """A run that an earlier session had begun is counted as none."""

    def learn(self, kind, seconds, climb, went_on=False):  # type: ignore[no-untyped-def]
        self._seconds[kind] += seconds
        self._runs[kind] += not went_on
        self._climbs.add(climb)

    with patch.object(Forecast, "learn", learn):
        yield


@contextmanager
def late_rows_that_count() -> Iterator[None]:
    """Who takes a sweep on an object store stamps its rows no later than who stood still could have."""
    with patch.object(lock, "_latest", lambda filesystem, folder: fence.EVER):
        yield


@contextmanager
def checkpoint_removed_too_soon() -> Iterator[None]:
    """What a trial would go on from is removed before it is on disk that the trial has ended."""
    trial = writer.SweepWriter.trial

    def soon(self, row, then=None):  # type: ignore[no-untyped-def]
        if then is not None:
            then()
        trial(self, row)

    with patch.object(writer.SweepWriter, "trial", soon):
        yield


@contextmanager
def ends_as_its_last_row_says() -> Iterator[None]:
    """A trial that ends at a rung without having run again has come as far as its row says, not its reports."""
    trial = writer.SweepWriter.trial

    def ends(self, row, then=None):  # type: ignore[no-untyped-def]
        own = dict(row)
        if own.get("status") == Status.PRUNED and "workers" not in own:
            own.pop("alternations", None)
        trial(self, own, then)

    with patch.object(writer.SweepWriter, "trial", ends):
        yield


PLANTED: Final[Mapping[str, Callable[[], AbstractContextManager[None]]]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        lock_that_two_hold,
        reports_that_overwrite_each_other,
        holder_that_looks_and_writes,
        what_was_heard_is_forgotten,
        checkpoint_of_anybody,
        files_left_out,
        forecast_of_none,
        late_rows_that_count,
        checkpoint_removed_too_soon,
        ends_as_its_last_row_says,
    )
}
