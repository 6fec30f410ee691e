"""The columns of trials and reports: names, types, allowed values (docs/architecture.md, "The store").

`dataset` and `sweep` are columns of every table that is read, but stand in the path of a file
(dataset=<d>/sweep=<name>), never inside it: pyarrow and pandas refuse a column that is in both,
because what they read from a path is a dictionary and what is in the file is a string.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

import pyarrow as pa

from bissl_ray.words import ALIGNING, Phase, Status, Step

RowKind = Literal["trials", "reports"]
Row = dict[str, Any]
"""Of a trial or a report: values by column, each of the column's type or None."""

SCHEMA_VERSION: Final = 1
PATH_COLUMNS: Final = ("dataset", "sweep")

_TIME = pa.timestamp("us", tz="UTC")
_TEXT, _INTEGER, _REAL = pa.string(), pa.int64(), pa.float64()
PARAMETER_TYPES: Final[Mapping[type, pa.DataType]] = {float: _REAL, int: _INTEGER, bool: pa.bool_(), str: _TEXT}

TRIAL_COLUMNS: Final[dict[str, pa.DataType]] = {
    "dataset": _TEXT,
    "sweep": _TEXT,
    "trial": _TEXT,
    "status": _TEXT,
    "status_reason": _TEXT,
    "phase": _TEXT,
    "step": _TEXT,  # as `words.Step` has it, never its look at the test split
    "parent": _TEXT,  # the trial that this run tunes or confirms; null for an explore trial
    "control": _TEXT,  # what BiSSL is compared with, a name of `controls.CONTROLS`; null for BiSSL
    "origin": _TEXT,  # who proposed it, as `words.Origin` has it
    "seed": _INTEGER,
    "labels_per_class": _INTEGER,  # labelled training images of each class; null: all that the dataset gives
    "label_draw": _INTEGER,  # which further draw of these; null: the split's own
    "objective": _REAL,  # larger is better, a fraction of one
    "objective_name": _TEXT,
    "test_metric": _REAL,
    "alternations": _INTEGER,
    "hvps": _INTEGER,  # in all
    "cg_residual": _REAL,  # relative, at the end of a solve: the mean over the trial
    "negative_curvature": _INTEGER,  # directions met, in all
    "implicit_change": _REAL,  # of the gradient of θ_D by the solves, relative: an alternation's mean, the largest
    "embedding_std": _REAL,  # of the pretext embeddings, after the last alternation: 1 evenly spread, 0 collapsed
    "embedding_rank": _REAL,  # effective, likewise
    "lower_knn_before": _REAL,  # as lower_knn, of the backbone that the trial starts from
    "lower_probe_before": _REAL,  # likewise
    "lower_knn": _REAL,  # this and the next three as in reports: of the last alternation that was measured
    "lower_probe": _REAL,
    "cka_pretrained": _REAL,
    "distance_pretrained": _REAL,
    "moved": _REAL,  # as in reports: over fine-tuning as a whole
    "alignment_seconds": _REAL,  # that measuring these took; counted in neither of the next two
    "seconds": _REAL,
    "gpu_seconds": _REAL,
    "peak_memory": _INTEGER,  # bytes that its first worker held at a time: of the GPU's tensors, else of the process
    "workers": _INTEGER,
    "device": _TEXT,  # of its first worker: the GPU's name; CPU, and by which instructions torch computes there
    "threads": _INTEGER,  # of each worker, on the CPU
    "attempts": _INTEGER,
    "checkpoint": _TEXT,
    "started_at": _TIME,
    "ended_at": _TIME,
    "updated_at": _TIME,
    "git": _TEXT,
    "versions": _TEXT,  # JSON: name of a library -> version
    "schema_version": _INTEGER,
}

ALIGNMENT_COLUMNS: Final = (
    *("lower_knn_before", "lower_probe_before", "lower_knn", "lower_probe"),
    *("cka_pretrained", "distance_pretrained", "alignment_seconds"),
)
"""Of a trial: what `alignment_every` has measured, and the time that took."""

REPORT_COLUMNS: Final[dict[str, pa.DataType]] = {
    "dataset": _TEXT,
    "sweep": _TEXT,
    "trial": _TEXT,
    "stage": _TEXT,
    "alternation": _INTEGER,  # null in fine-tuning
    "epoch": _INTEGER,  # null in bissl and joint
    "finetune_step": _INTEGER,  # of which an epoch may have several reports; null outside fine-tuning
    "objective": _REAL,
    "objective_name": _TEXT,
    "lower_loss": _REAL,
    "upper_loss": _REAL,
    "direct_loss": _REAL,
    "hvps": _INTEGER,
    "cg_residual": _REAL,  # mean over the solves, relative
    "cg_residual_max": _REAL,
    "ritz_min": _REAL,
    "ritz_max": _REAL,
    "damping_used": _REAL,  # damping and what damping_relative adds to it on this batch
    "negative_curvature": _INTEGER,
    "hypergradient_cosine": _REAL,  # of the implicit part and the first-order baseline
    "implicit_ratio": _REAL,  # ‖implicit part‖ / ‖direct part‖ of the gradient of θ_D; null where γ = 0
    "implicit_change": _REAL,  # of that gradient by the solve, against the first-order baseline, relative
    "embedding_std": _REAL,
    "embedding_rank": _REAL,
    "upper_backbone_share": _REAL,  # of ‖gradient of θ_D and φ_D‖² what is θ_D's
    "distance": _REAL,  # ‖θ − θ_D‖
    "lower_knn": _REAL,  # this and the next four: null where `alignment_every` leaves the alternation out
    "lower_probe": _REAL,  # as lower_knn an objective on the validation split, of θ frozen, without fine-tuning
    "cka_pretrained": _REAL,  # linear CKA of the features of θ and of the backbone that the trial starts from
    "cka_upper": _REAL,  # of θ and θ_D
    "distance_pretrained": _REAL,  # ‖θ − θ_0‖ / ‖θ_0‖, θ_0 that the trial starts from
    "moved": _REAL,  # ‖θ − θ_s‖ / ‖θ_s‖, θ_s that fine-tuning starts from; null in bissl
    "lower_grad_norm": _REAL,
    "upper_grad_norm": _REAL,
    "lower_lr": _REAL,
    "upper_lr": _REAL,
    "train_loss": _REAL,
    "stopped_because": _TEXT,  # of the linear solver
    "alignment_seconds": _REAL,  # spent on measuring so far, not counted in the next
    "seconds": _REAL,  # since the start of the trial
    "reported_at": _TIME,
    "schema_version": _INTEGER,
}

COLUMNS: Final[Mapping[RowKind, dict[str, pa.DataType]]] = {"trials": TRIAL_COLUMNS, "reports": REPORT_COLUMNS}

KEYS: Final[Mapping[RowKind, tuple[str, ...]]] = {
    "trials": ("dataset", "sweep", "trial"),
    "reports": ("dataset", "sweep", "trial", "stage", "alternation", "epoch", "finetune_step"),
}
"""What makes two rows the same one."""


_OF_THE_RUN: Final = (*PATH_COLUMNS, "trial", "seconds", "alignment_seconds", "reported_at", "schema_version")
REPORT_FIGURES: Final = tuple(name for name in REPORT_COLUMNS if name not in _OF_THE_RUN)
"""What a report says of its trial: the same whenever that is run, on one worker of one machine."""


def report_key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Which of its trial's reports a row is."""
    return tuple(row.get(name) for name in KEYS["reports"][3:])


STAMP: Final[Mapping[RowKind, str]] = {"trials": "updated_at", "reports": "reported_at"}
"""The column that tells which of two rows is the newer."""

REQUIRED: Final[Mapping[RowKind, tuple[str, ...]]] = {
    "trials": ("trial", "status", "phase", "step"),
    "reports": ("trial", "stage"),
}

ALLOWED: Final[Mapping[str, tuple[str, ...]]] = {
    "status": tuple(Status),
    "phase": tuple(Phase),
    "step": tuple(step for step in Step if step != Step.TEST),
    "stage": (*ALIGNING, "finetune"),
}


def file_schema(kind: RowKind, parameters: Mapping[str, pa.DataType]) -> pa.Schema:
    """Give the schema of one file: the contract's columns less those of the path, then the parameters.

    Args:
        kind: trials or reports; reports have no parameters.
        parameters: column name with its prefix -> Arrow type.
    """
    fields = {name: type_ for name, type_ in COLUMNS[kind].items() if name not in PATH_COLUMNS}
    return pa.schema(list((fields | dict(parameters)).items()))


def coerce(name: str, type_: pa.DataType, value: Any) -> Any:
    """Bring one value to the type of its column, without losing anything.

    Args:
        name: the column, for the error.
        type_: its Arrow type.
        value: None, or what a trial reports (numbers of NumPy included).

    Raises:
        ValueError: the value doesn't fit the column, or is not one of those allowed.
    """
    if value is None:
        return None
    fitting = _fit(type_, value)
    if fitting is None:
        raise ValueError(f"column {name} holds {type_}, found {value!r} ({type(value).__name__})")
    if name in ALLOWED and fitting not in ALLOWED[name]:
        raise ValueError(f"column {name} holds one of {', '.join(ALLOWED[name])}, found {fitting!r}")
    return fitting


def _fit(type_: pa.DataType, value: Any) -> Any:
    """Return the value as the column's Python type, or None where it doesn't fit."""
    if type_ == _TEXT:
        return str(value) if isinstance(value, str) else None  # a plain one, of an enumeration's member too
    if type_ == _TIME:
        return value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo is not None else None
    if hasattr(value, "item"):  # a scalar of NumPy
        value = value.item()
    if type_ == pa.bool_():
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if type_ == _REAL:
        return float(value)
    return int(value) if value == value and value not in (float("inf"), float("-inf")) and value == int(value) else None
