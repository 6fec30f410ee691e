"""Files of a storage that documents name: what sweeps and stages start from, and comparisons that have yet to begin."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from bissl_ray.catalog.stock import Kind, Ref, Stock, tidy
from bissl_ray.config.documents import ComparisonDocument, StageDocument, SweepDocument
from bissl_ray.config.requests import CheckpointChoice
from bissl_ray.errors import BadInputError
from bissl_ray.store.filesystem import delete_if_there
from bissl_ray.store.lock import locked
from bissl_ray.store.paths import making_folder


@dataclass
class Named:
    """What documents name.

    Attributes:
        files: each with who names it, in words; relative to the storage where a sweep does, else as a person gave it.
        unread: what names files that are not known: why each document can't be read.
    """

    files: dict[str, str] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)

    def user_of(self, path: str) -> str | None:
        """Why a file is kept, by its path relative to the storage; None: nothing names it."""
        for file, words in self.files.items():
            # A person's is absolute, an address, or relative to any folder.
            if file == path or file.endswith(f"/{path}"):
                return words
        return f"what it needs is not known: {self.unread[0]}" if self.unread else None


def named_by(stock: Stock, without: Collection[Ref] = ()) -> Named:
    """Read what all documents of a storage name.

    Args:
        stock: of the storage.
        without: things whose documents don't count.
    """
    found = Named()
    for ref in stock.refs:
        if ref in without:
            continue
        try:
            document = stock.document(ref)
        except BadInputError as error:
            found.unread.append(str(error))
            continue
        if document is None:
            if ref.kind == Kind.SWEEP:
                found.unread.append(f"{ref} has no document")
            continue
        for file in _files(document):
            found.files.setdefault(file, f"{ref} {'starts' if ref.kind != Kind.COMPARISON else 'begins'} from it")
    return found


def remove_shared(storage: str, path: str, without: Collection[Ref] = ()) -> bool:
    """Remove pretrained models that sweeps share, unless one names them, or is making them, by now.

    Args:
        storage: absolute.
        path: of their file, relative to it.
        without: things whose documents don't count.

    Returns:
        Whether they are removed.
    """
    folder = making_folder(path)
    try:
        with locked(storage, folder, f"the pretraining of {path}"):
            stock = Stock(storage)
            gone = named_by(stock, without).user_of(path) is None
            if gone:
                delete_if_there(stock.filesystem, f"{stock.base}/{path}")
    except BadInputError:  # a sweep is making them
        return False
    tidy(stock, folder)
    return gone


def _files(document: object) -> Iterator[str]:
    if isinstance(document, SweepDocument):
        yield from filter(None, [document.start])
        yield from _chosen(document.request.pretrained)
    elif isinstance(document, StageDocument):
        yield from _chosen(document.request.start)
    elif isinstance(document, ComparisonDocument):
        for case in document.comparison.cases:
            yield from _chosen(case.request.pretrained)


def _chosen(choice: CheckpointChoice | None) -> Iterator[str]:
    if choice is not None:
        yield from filter(None, [choice.file, choice.head])
