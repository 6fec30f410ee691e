"""A storage by its things: sweeps, stages that ran by themselves, comparisons; their files, documents, claims."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

from pyarrow.fs import FileType, LocalFileSystem

from bissl_ray.config.documents import ComparisonDocument, Document, StageDocument, SweepDocument
from bissl_ray.errors import BadInputError, nearest
from bissl_ray.preflight.doctor.claims import stand
from bissl_ray.preflight.doctor.inventory import Inventory, take_inventory
from bissl_ray.store.documents import read_document
from bissl_ray.store.filesystem import is_there, listed, open_storage
from bissl_ray.store.lock import Claim, is_claim
from bissl_ray.store.paths import REMOVED


class Kind(StrEnum):
    """What a thing of a storage is."""

    SWEEP = "sweep"
    STAGE = "stage"
    COMPARISON = "comparison"

    @property
    def folder(self) -> str:
        """Where things of the kind lie in a storage."""
        return f"{self}s"


DOCUMENTS: Final[dict[Kind, type[Document]]] = {
    Kind.SWEEP: SweepDocument,
    Kind.STAGE: StageDocument,
    Kind.COMPARISON: ComparisonDocument,
}


class Ref(NamedTuple):
    """A thing by its kind and name."""

    kind: Kind
    name: str

    @property
    def folder(self) -> str:
        """Its folder, relative to the storage; of a comparison, whose file it names but for the ending."""
        return f"{self.kind.folder}/{self.name}"

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Held:
    """Who works on a thing.

    Attributes:
        host: name of the machine.
        pid: of the process there.
        since: by that machine's clock; None: not known, of a release before.
    """

    host: str
    pid: int
    since: datetime | None

    @classmethod
    def by(cls, claim: Claim) -> "Held":
        """As a claim says it."""
        return cls(claim.host, claim.pid, None if claim.since is None else datetime.fromtimestamp(claim.since, UTC))


class Stock:
    """All that lies in a storage, listed once.

    Attributes:
        storage: absolute.
        filesystem: of it.
        base: its path there.
        found: names and sizes of all files.
    """

    def __init__(self, storage: str) -> None:
        """List it.

        Raises:
            BadInputError: there is no such storage.
            OSError: it refuses.
        """
        self.storage: Final = storage
        self.filesystem, self.base = open_storage(storage)
        if not is_there(storage):
            raise BadInputError(
                f"storage {storage!r}: found no such folder; give the one that a sweep wrote to with --storage, or "
                "start a sweep with `bissl-ray sweep`"
            )
        if self.filesystem.get_file_info(self.base).type == FileType.File:
            raise BadInputError(f"storage {self.base} is a file, a folder was expected; give another --storage")
        self.found: Final[Inventory] = take_inventory(self.filesystem, self.base)
        self._files: dict[Ref, dict[str, int]] = {}
        for path, size in self.found.sizes.items():
            if (ref := _owner(path)) is not None:
                self._files.setdefault(ref, {})[path] = size

    @property
    def refs(self) -> list[Ref]:
        """All things, sweeps first, by name; a folder that holds nothing but claims is none."""
        return sorted(
            (ref for ref, files in self._files.items() if not all(map(is_claim, files))),
            key=lambda ref: ([*Kind].index(ref.kind), ref.name),
        )

    def named(self, name: str) -> Ref:
        """The thing of a name, or of "sweeps/NAME", "stages/NAME", "comparisons/NAME" where several have it.

        Raises:
            BadInputError: there is none, or several.
        """
        refs = self.refs
        folder, _, rest = name.rpartition("/")
        fitting = [ref for ref in refs if ref.name == rest and folder in ("", ref.kind.folder)]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise BadInputError(f"{name} is {_either(fitting)}: say which, {_either(ref.folder for ref in fitting)}")
        names = [ref.name for ref in refs]
        hint = nearest(name, names) or "; see bissl-ray list"
        few = f"it holds {', '.join(names)}" if 0 < len(names) <= 12 else f"it holds {len(names) or 'none'} of them"
        raise BadInputError(f"no sweep, stage or comparison {name!r} in {self.storage}: {few}{hint}")

    def files(self, ref: Ref) -> dict[str, int]:
        """Its files and how many bytes each has: rows, checkpoints, documents, claims."""
        return self._files.get(ref, {})

    def half_removed(self, ref: Ref) -> bool:
        """Whether its removal was cut off."""
        return f"{ref.folder}/{REMOVED}" in self.files(ref)

    def document(self, ref: Ref) -> Document | None:
        """What was asked for; None where there is no document (raises BadInputError: it can't be read)."""
        return read_document(self.storage, ref.name, DOCUMENTS[ref.kind], half_removed=True)

    def held(self, refs: Iterable[Ref]) -> dict[Ref, Held]:
        """Who works on some things; a claim of another machine is watched for half a minute, all in the same one."""
        by_folder = {ref.folder: ref for ref in refs}
        claims = {folder: own for folder, own in self.found.claims.items() if folder in by_folder}
        looked = stand(self.filesystem, self.base, claims)
        alive = {
            by_folder[folder]: [each.claim for each in own.values() if each.alive and each.claim is not None]
            for folder, own in looked.items()
        }
        return {ref: Held.by(own[0]) for ref, own in alive.items() if own}

    def sweep_documents(self) -> Iterator[SweepDocument]:
        """Those of all sweeps (raises BadInputError: one can't be read)."""
        for ref in self.refs:
            document = self.document(ref) if ref.kind == Kind.SWEEP else None
            if isinstance(document, SweepDocument):
                yield document

    def comparisons(self) -> Iterator[ComparisonDocument]:
        """Those that can be read."""
        for ref in self.refs:
            if ref.kind == Kind.COMPARISON:
                try:
                    document = self.document(ref)
                except BadInputError:
                    continue
                if isinstance(document, ComparisonDocument):
                    yield document


def _owner(path: str) -> Ref | None:
    """Whose a file is; None: of nothing that has a name."""
    parts = path.split("/")
    if parts[0] == "results" and len(parts) > 3 and parts[2].startswith("sweep="):
        return Ref(Kind.SWEEP, parts[2].removeprefix("sweep="))
    if parts[0] in (Kind.SWEEP.folder, Kind.STAGE.folder) and len(parts) > 2:
        return Ref(Kind.SWEEP if parts[0] == Kind.SWEEP.folder else Kind.STAGE, parts[1])
    if parts[0] == Kind.COMPARISON.folder and len(parts) == 2 and parts[1].endswith(".json"):
        return Ref(Kind.COMPARISON, parts[1].removesuffix(".json"))
    return None


def tidy(stock: Stock, folder: str) -> None:
    """Remove a folder of which nothing is left, with those above it; an object store has none, but for their marks."""
    path = f"{stock.base}/{folder}"
    with suppress(OSError):
        while path != stock.base:
            if isinstance(stock.filesystem, LocalFileSystem):
                Path(path).rmdir()  # refused where it is not empty
            elif listed(stock.filesystem, path):
                return
            else:
                stock.filesystem.delete_dir(path)
            path = path.rpartition("/")[0]


def _either(words: Iterable[object]) -> str:
    return " or ".join(str(word) for word in words)
