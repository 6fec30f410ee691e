"""Rids a storage of what nothing needs (`catalog.needed` says what that is); no row is lost, and no document."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from bissl_ray.catalog.named import Named, named_by, remove_shared
from bissl_ray.catalog.needed import Needless, needless_of_sweep
from bissl_ray.catalog.standing import State, sweep_standing
from bissl_ray.catalog.stock import Held, Kind, Ref, Stock, tidy
from bissl_ray.config.documents import ComparisonDocument, StageDocument, SweepDocument
from bissl_ray.errors import BadInputError
from bissl_ray.preflight.doctor.inventory import SHARED
from bissl_ray.store import SweepWriter, to_rows
from bissl_ray.store.fence import Files
from bissl_ray.store.filesystem import delete_if_there
from bissl_ray.store.lock import locked
from bissl_ray.store.reader import read_with_damage
from bissl_ray.store.schema import Row

_PRETRAINED = "pretrained/"
_OF_A_STAGE = {
    "start.pt": "what a stage started from that has ended",
    "progress.pt": "how far a stage was that has ended",
}


@dataclass(frozen=True)
class Cleaning:
    """What nothing needs.

    Attributes:
        of: files, by the thing that they are of; None: of no single one.
        kept: things that were not looked at, each with why, in words.
    """

    of: dict[Ref | None, list[Needless]] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)

    @property
    def files(self) -> list[Needless]:
        """All of them."""
        return [each for files in self.of.values() for each in files]


def plan_cleaning(stock: Stock, name: str | None = None) -> Cleaning:
    """What nothing needs in a storage.

    Args:
        stock: of it.
        name: of one thing, as `Stock.named` takes it; None: all of the storage.

    Raises:
        BadInputError: there is no such thing, a process works on it, or what some document needs is not known.
        OSError: the storage refuses.
    """
    named = named_by(stock)
    if named.unread:
        raise BadInputError(
            f"{named.unread[0]}; what it needs is not known, so nothing is removed: mend it, or remove it with "
            "`bissl-ray rm`"
        )
    refs = stock.refs if name is None else _with_cases(stock, stock.named(name))
    held = stock.held(stock.refs)
    found = Cleaning()
    for ref in refs:
        if ref.kind == Kind.COMPARISON:
            continue
        why = _busy(ref, held.get(ref)) or (f"{ref} is half removed" if stock.half_removed(ref) else None)
        if why is not None and name is not None and len(refs) == 1:
            raise BadInputError(f"{why}: clean takes what nobody works on")
        if why is not None:
            found.kept.append(why)
            continue
        needless, damaged = _of_thing(stock, ref, named)
        if damaged is not None:
            found.kept.append(damaged)
        if files := [*needless, *_left_over(stock, ref.folder)]:
            found.of[ref] = files
    if name is None and not held:
        if files := [*_left_over(stock, SHARED), *_pretrained(stock, named)]:
            found.of[None] = files
    elif name is None:
        found.kept.append("pretrained models that no sweep names: a sweep that runs may be about to")
    return found


def clean(stock: Stock, plan: Cleaning) -> list[Needless]:
    """Remove what was planned, as far as nothing needs it by now.

    Args:
        stock: of the storage.
        plan: as `plan_cleaning` gives it.

    Returns:
        What was removed.

    Raises:
        BadInputError: a process has begun to work on one of the things.
        OSError: the storage refuses; the same command goes on with what is left.
    """
    removed = []
    for ref, files in plan.of.items():
        if ref is None:
            for each in files:
                if not each.path.startswith(_PRETRAINED) or remove_shared(stock.storage, each.path):
                    _delete(stock, each)
                    removed.append(each)
            continue
        with locked(stock.storage, ref.folder, str(ref)) as lock:
            now, _ = _of_thing(stock, ref, named_by(stock))
            still = {each.path for each in (*now, *_left_over(stock, ref.folder))}
            files = [each for each in files if each.path in still]
            if ref.kind == Kind.SWEEP:
                # Rows first: a file that no row names is found again, one that is named must be there.
                _forget(stock, ref, {each.path for each in files}, lock.files)
            for each in files:
                lock.check()
                _delete(stock, each)
                removed.append(each)
    return removed


def _busy(ref: Ref, held: Held | None) -> str | None:
    return None if held is None else f"{ref} is being run by process {held.pid} on {held.host}"


def _with_cases(stock: Stock, ref: Ref) -> list[Ref]:
    if ref.kind != Kind.COMPARISON:
        return [ref]
    document = stock.document(ref)
    assert isinstance(document, ComparisonDocument)
    return [each for case in document.comparison.cases if stock.files(each := Ref(Kind.SWEEP, case.sweep))]


def _of_thing(stock: Stock, ref: Ref, named: Named) -> tuple[list[Needless], str | None]:
    """Files of a sweep or a stage that nothing needs; or why that can't be told, in words."""
    document = stock.document(ref)
    if isinstance(document, StageDocument):
        over = {f"{ref.folder}/{name}": why for name, why in _OF_A_STAGE.items() if document.status == "complete"}
        files = stock.files(ref)
        needless = [Needless(path, files[path], why) for path, why in over.items() if path in files]
    elif isinstance(document, SweepDocument):
        rows, reports, damaged = _rows(stock, document)
        if damaged is not None:
            return [], f"{ref} is left as it is: {damaged}"
        standing = sweep_standing(stock.storage, document, rows, False, reports)
        protocol, finished = document.request.space.protocol, standing.state == State.FINISHED
        needless = list(needless_of_sweep(standing.planner, protocol, stock.files(ref), finished))
    else:
        return [], None
    return [each for each in needless if named.user_of(each.path) is None], None


def _rows(stock: Stock, document: SweepDocument) -> tuple[list[Row], list[Row], str | None]:
    where = document.request.dataset, document.request.name
    trials, damaged = read_with_damage(stock.storage, "trials", *where, surely=True)
    reports, also = read_with_damage(stock.storage, "reports", *where, surely=True)
    why = next((each.line for each in (*damaged, *also)), None)
    return to_rows(trials), to_rows(reports), why


def _left_over(stock: Stock, folder: str) -> Iterator[Needless]:
    """What a process left that ended in the middle; nobody works there."""
    found, sizes = stock.found, stock.found.sizes
    for path in sorted(found.aside[folder]):
        yield Needless(path, sizes[path], "written aside, and never put in its place")
    for path in sorted(found.ray[folder]):
        inside = sum(size for file, size in sizes.items() if file.startswith(f"{path}/"))
        yield Needless(f"{path}/", inside, "Ray's own or a doctor's, of a run that was cut off")


def _pretrained(stock: Stock, named: Named) -> Iterator[Needless]:
    for path, size in sorted(stock.found.models.items()):
        if path.startswith(_PRETRAINED) and named.user_of(path) is None:
            yield Needless(path, size, "pretrained models that no sweep starts from")


def _forget(stock: Stock, ref: Ref, paths: set[str], files: Files) -> None:
    """Have the rows of trials say that they have no model any more."""
    document = stock.document(ref)
    assert isinstance(document, SweepDocument)
    rows, _, _ = _rows(stock, document)
    without = [row["trial"] for row in rows if row["checkpoint"] in paths]
    if not without:
        return
    with SweepWriter(stock.storage, document.request.dataset, ref.name, {}, files) as writer:
        for trial in without:
            writer.trial({"trial": trial, "checkpoint": None})


def _delete(stock: Stock, each: Needless) -> None:
    path = f"{stock.base}/{each.path}"
    if each.path.endswith("/"):
        with suppress(FileNotFoundError):
            stock.filesystem.delete_dir(path)
    else:
        delete_if_there(stock.filesystem, path)
        tidy(stock, each.path.rpartition("/")[0])
