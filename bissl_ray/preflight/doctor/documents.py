"""What was asked for, of sweeps, stages and comparisons: whether the documents that say it can be read."""

from collections.abc import Iterator

from bissl_ray.config.documents import ComparisonDocument, Document, StageDocument, SweepDocument
from bissl_ray.errors import BadInputError
from bissl_ray.preflight.doctor.findings import Finding, State
from bissl_ray.preflight.doctor.inventory import Inventory
from bissl_ray.store.documents import read_document

_KEPT = {
    SweepDocument: "its trials are shown all the same, and exported; it can't be resumed, nor its trials run again",
    StageDocument: "its model is a file of its own, and says how it was made",
    ComparisonDocument: "its sweeps are there, each with its own document",
}


def look_at_documents(storage: str, base: str, found: Inventory) -> Iterator[Finding]:
    """Say which can't be read, and which are not there."""
    for kind, folder, names, file in (
        (SweepDocument, "sweeps", found.sweeps, "/sweep.json"),
        (StageDocument, "stages", found.stages, "/stage.json"),
        (ComparisonDocument, "comparisons", found.comparisons, ".json"),
    ):
        for name in sorted(names):
            place = f"{folder}/{name}{file}"
            if place not in found.documents:
                yield Finding(State.DAMAGED, "document", place, "it is not there", _KEPT[kind])
            elif (wrong := _wrong(storage, base, name, kind)) is not None:
                yield Finding(State.DAMAGED, "document", place, wrong, _KEPT[kind])


def _wrong(storage: str, base: str, name: str, kind: type[Document]) -> str | None:
    try:
        read_document(storage, name, kind)
    except BadInputError as error:
        return str(error).replace(f"{base}/", "")
    return None
