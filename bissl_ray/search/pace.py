"""How fast runs of earlier sweeps in a storage went, for what a sweep like them will take (issue 17)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from pydantic import ValidationError

from bissl_ray.config.columns import settings_of_row
from bissl_ray.config.documents import SweepDocument
from bissl_ray.config.requests import SweepRequest
from bissl_ray.config.settings import Settings
from bissl_ray.errors import BadInputError
from bissl_ray.search.cost import work_of
from bissl_ray.search.estimate import Pace
from bissl_ray.search.forecast import SEARCH
from bissl_ray.search.plans import RunKind
from bissl_ray.store import read_trials, to_rows
from bissl_ray.store.documents import read_sweep_document
from bissl_ray.store.paths import sweep_names
from bissl_ray.store.schema import Row
from bissl_ray.words import PBT, Phase, Status, Step

_ALIKE: Final = ("backbone", "pretext", "image_size", "precision", "replay", "compile", "detector", "detection_side")
"""Settings that say how fast an image passes; how many pass is counted."""


def pace_of_earlier(storage: str, request: SweepRequest, on_gpus: bool) -> Pace | None:
    """How fast the newest sweep went that is like one to come; of the same dataset, if there is such.

    Args:
        storage: absolute.
        request: of the sweep to come.
        on_gpus: whether it will run on GPUs.

    Returns:
        Its pace; None where there is no such sweep.

    Warns:
        DamagedFileWarning: as `store.read_trials`.
    """
    found = [document for document in _documents(storage) if _is_like(document.request, request)]
    # Sorting keeps the order of equals, so the newest of the same dataset comes first.
    found.sort(key=lambda document: document.created_at or "", reverse=True)
    found.sort(key=lambda document: document.request.dataset != request.dataset)
    for document in found:
        rows = to_rows(read_trials(storage, document.request.dataset, document.request.name))
        pace = _pace([row for row in rows if bool(row["gpu_seconds"]) == on_gpus], document)
        if pace is not None:
            return pace
    return None


def _documents(storage: str) -> Iterable[SweepDocument]:
    for name in sweep_names(storage):
        try:
            yield read_sweep_document(storage, name)
        except BadInputError:  # a damaged one is named where it is asked for
            continue


def _is_like(earlier: SweepRequest, coming: SweepRequest) -> bool:
    one, other = earlier.space.settings({}), coming.space.settings({})
    return (
        all(getattr(one, name) == getattr(other, name) for name in _ALIKE)
        and earlier.workers_per_trial == coming.workers_per_trial
        and earlier.gpus_per_worker == coming.gpus_per_worker
    )


def _pace(rows: Iterable[Row], document: SweepDocument) -> Pace | None:
    seconds: defaultdict[RunKind, float] = defaultdict(float)
    work: defaultdict[RunKind, float] = defaultdict(float)
    for row in rows:
        midway = (row["origin"] or "").startswith(PBT)  # of which another has run a part
        if row["status"] in (Status.COMPLETE, Status.PRUNED) and row["seconds"] and not midway:
            kind = Phase(row["phase"]), Step(row["step"])
            known = _work(row, kind, document.data, row["workers"] or document.request.workers_per_trial)
            if known:
                seconds[kind] += row["seconds"]
                work[kind] += known
    return Pace(seconds, work, f"as sweep {document.request.name} went") if work else None


def _work(row: Row, kind: RunKind, sizes: Mapping[str, int], workers: int) -> float | None:
    """Gradients of what has run; None for a row of another release, whose settings are none of this one's."""
    changed = {"alternations": row["alternations"]} if kind == SEARCH and row["alternations"] else {}
    try:
        settings = Settings.model_validate({**settings_of_row(row), **changed})
        return work_of(kind, settings, sizes, workers)
    except (ValidationError, BadInputError, KeyError):
        return None
