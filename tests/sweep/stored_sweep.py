"""Leaves behind in a storage what a sweep that was driven by `WholeSweep` would."""

from pathlib import Path

from bissl_ray.config.documents import SweepDocument
from bissl_ray.config.requests import SweepRequest
from bissl_ray.config.setting_rules import parameter_types
from bissl_ray.store import SweepWriter
from bissl_ray.store.documents import write_document
from bissl_ray.words import Phase
from tests.search.small_space import store_rows
from tests.search.whole_sweep import WholeSweep


def write_sweep(storage: Path, sweep: WholeSweep, request: SweepRequest, **results: object) -> None:
    """Leave behind what a sweep that ran so far would; `results` are columns of every trial."""
    sizes = {"classes": 10, "pretext": 800, "train": 100, "validation": 300, "test": 597}
    document = SweepDocument(request=request, data=sizes, fingerprint="0", pretrain=True)
    write_document(storage, request.name, document)
    with SweepWriter(storage, request.dataset, request.name, parameter_types()) as writer:
        for row in store_rows(list(sweep.records.values()), sweep.space)[0]:
            control = request.control or ("plain" if row["phase"] == Phase.CONTROL else None)
            writer.trial({**row, "control": control, **results})
