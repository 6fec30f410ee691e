"""Removes sweeps, stages and comparisons, whole; a removal that is cut off leaves a storage that opens.

First a mark says that the thing is going (`store.paths.REMOVED`): from then on nothing resumes it or takes its name.
Then go its rows, its files, what no other sweep has of the pretrained models, its document and, last of all, the mark.
Whatever is left where that is cut off is found by the same name again, and goes the same way.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Final

from bissl_ray.catalog.named import named_by, remove_shared
from bissl_ray.catalog.stock import Kind, Ref, Stock, tidy
from bissl_ray.config.documents import ComparisonDocument, SweepDocument
from bissl_ray.errors import BadInputError
from bissl_ray.store.documents import now
from bissl_ray.store.filesystem import atomic_write, delete_if_there, listed
from bissl_ray.store.lock import Held, is_claim, locked, owner_of
from bissl_ray.store.paths import REMOVED
from bissl_ray.world import world

_THREADS: Final = 8
"""Hide the latency of an object store."""


@dataclass(frozen=True)
class Removal:
    """What is to be removed, or has been.

    Attributes:
        ref: the thing; the sweeps of a comparison are things of their own.
        files: its files, with the pretrained models that no other sweep starts from, and how many bytes each has.
        notes: what is kept, and why; who misses it.
    """

    ref: Ref
    files: dict[str, int]
    notes: list[str] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """Of all its files."""
        return sum(self.files.values())


def plan_removal(stock: Stock, names: Sequence[str]) -> list[Removal]:
    """What goes with some things, in the order in which it does: the sweeps of a comparison before itself.

    Args:
        stock: of the storage.
        names: as of `Stock.named`.

    Raises:
        BadInputError: there is no such thing.
    """
    asked = list(dict.fromkeys(stock.named(name) for name in names))
    comparisons = list(stock.comparisons())
    staying = [each for each in comparisons if Ref(Kind.COMPARISON, each.comparison.name) not in asked]
    kept_by = {case.sweep: each.comparison.name for each in staying for case in each.comparison.cases}
    going: dict[Ref, list[str]] = {}
    for ref in asked:
        notes = []
        if ref.kind == Kind.COMPARISON:
            try:
                sweeps = _sweeps_of(stock, ref)
            except BadInputError as error:
                sweeps, notes = [], [f"which sweeps are its own is not known, and they stay: {error}"]
            for sweep in sweeps:
                if sweep.name in kept_by and sweep not in asked:
                    notes.append(f"{sweep} stays: comparison {kept_by[sweep.name]} has it as well")
                else:
                    going.setdefault(sweep, [])
        elif ref.kind == Kind.SWEEP and ref.name in kept_by:
            notes.append(f"it is a case of comparison {kept_by[ref.name]}, which runs it again when it goes on")
        going.setdefault(ref, []).extend(notes)
    named = named_by(stock, without=going)
    starts = {ref: _start_of(stock, ref) for ref in going}
    counted: set[str] = set()
    plans = []
    for ref, notes in going.items():
        files, start = dict(stock.files(ref)), starts[ref]
        if start is not None and start in stock.found.sizes and start not in files and start not in counted:
            user = named.user_of(start)
            if user is None:
                files[start] = stock.found.sizes[start]
                counted.add(start)
            else:
                notes.append(f"{start} stays: {user}")
        plans.append(Removal(ref, files, notes))
    plans.sort(key=lambda plan: plan.ref.kind == Kind.COMPARISON)
    return plans


def _sweeps_of(stock: Stock, ref: Ref) -> list[Ref]:
    """The sweeps of a comparison that are there (raises BadInputError: its document can't be read)."""
    document = stock.document(ref)
    cases = document.comparison.cases if isinstance(document, ComparisonDocument) else ()
    return [sweep for case in cases if stock.files(sweep := Ref(Kind.SWEEP, case.sweep))]


def _start_of(stock: Stock, ref: Ref) -> str | None:
    """The pretrained models that a sweep starts from, where its document says so."""
    with suppress(BadInputError):
        document = stock.document(ref)
        if isinstance(document, SweepDocument):
            return document.start
    return None


def check_removable(stock: Stock, plans: Sequence[Removal]) -> None:
    """Make sure that nobody works on what is to be removed (raises BadInputError)."""
    for ref, held in stock.held(plan.ref for plan in plans).items():
        raise BadInputError(
            f"{ref} is being run by process {held.pid} on {held.host}: stop it with Ctrl-C there before it is removed"
        )


def remove_all(stock: Stock, plans: Sequence[Removal]) -> list[Removal]:
    """Remove what was planned; what went, in the end.

    Args:
        stock: of the storage.
        plans: as `plan_removal` gives them.

    Raises:
        BadInputError: a process works on one of them; nothing was removed.
        RunFailedError: this process had stood still, and another has taken one of them.
        OSError: the storage refuses; the same command goes on with what is left.
    """
    with ExitStack() as stack:
        folders = [plan for plan in plans if plan.ref.kind != Kind.COMPARISON]
        held = {
            plan.ref: stack.enter_context(locked(stock.storage, plan.ref.folder, str(plan.ref))) for plan in folders
        }
        for plan in folders:
            said = json.dumps({"begun_at": now(), "what": str(plan.ref)})
            atomic_write(stock.filesystem, f"{stock.base}/{plan.ref.folder}/{REMOVED}", said.encode())
        for plan in folders:
            _remove(stock, plan, held[plan.ref], [each.ref for each in plans])
        for plan in plans:
            if plan.ref.kind == Kind.COMPARISON:
                _delete(stock, plan.files)
                tidy(stock, plan.ref.kind.folder)
    for plan in folders:
        _tidy(stock, plan)
    return [*plans]


def _remove(stock: Stock, plan: Removal, held: Held, going: Sequence[Ref]) -> None:
    folder = plan.ref.folder
    mark, document = f"{folder}/{REMOVED}", f"{folder}/{plan.ref.kind}.json"
    # Listed anew: what was written between the first listing and the lock goes as well.
    there = {
        path.removeprefix(f"{stock.base}/")
        for place in (folder, *_row_folders(stock, plan.ref))
        for path in _below(stock, f"{stock.base}/{place}")
    }
    rows = {path for path in there if path.startswith("results/")}
    spared = {path for path in there if _is_of_claims(path, folder)} | {mark, document}
    held.check()
    _delete(stock, rows)
    held.check()
    _delete(stock, there - rows - spared)
    for path in [path for path in plan.files if path.startswith("pretrained/")]:
        if not remove_shared(stock.storage, path, going):
            del plan.files[path]
            plan.notes.append(f"{path} stays: a sweep has begun that needs it")
    held.check()
    _delete(stock, {document})
    _delete(stock, {mark})


def _tidy(stock: Stock, plan: Removal) -> None:
    """Remove folders of which nothing is left, and marks on claims, unless somebody has come for the name by now."""
    folder = plan.ref.folder
    left = {path.removeprefix(f"{stock.base}/") for path in _below(stock, f"{stock.base}/{folder}")}
    if all(_is_of_claims(path, folder) and not path.endswith(".json") for path in left):
        _delete(stock, left)
        for each in sorted({*map(_parent, (*plan.files, *left)), folder}, reverse=True):
            tidy(stock, each)


def _row_folders(stock: Stock, ref: Ref) -> list[str]:
    datasets = stock.found.datasets.get(ref.name, set()) if ref.kind == Kind.SWEEP else set()
    return [f"results/dataset={dataset}/sweep={ref.name}" for dataset in sorted(datasets)]


def _below(stock: Stock, folder: str) -> Iterator[str]:
    return (info.path for info in listed(stock.filesystem, folder, recursive=True) if info.is_file)


def _is_of_claims(path: str, folder: str) -> bool:
    """Whether a file is a claim on the folder, or in the folder of one's holder."""
    first = path.removeprefix(f"{folder}/").split("/")[0]
    return path.startswith(f"{folder}/") and (is_claim(first) or owner_of(first) is not None)


def _delete(stock: Stock, paths: "set[str] | dict[str, int]") -> None:
    if paths:
        files = [f"{stock.base}/{path}" for path in sorted(paths)]
        world().side_by_side(lambda path: delete_if_there(stock.filesystem, path), files, min(_THREADS, len(files)))


def _parent(path: str) -> str:
    return path.rpartition("/")[0]
