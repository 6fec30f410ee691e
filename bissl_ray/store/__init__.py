"""Parquet store of sweeps: trials, reports and what was asked for (DESIGN section 6)."""

from bissl_ray.store.documents import (
    read_comparison_document,
    read_stage_document,
    read_sweep_document,
    sweep_names,
    write_comparison_document,
    write_stage_document,
    write_sweep_document,
)
from bissl_ray.store.filesystem import atomic_write, check_writable, open_storage, reason
from bissl_ray.store.paths import check_name
from bissl_ray.store.reader import DamagedFileWarning, load_trials, read_reports, read_trials
from bissl_ray.store.schema import REPORT_COLUMNS, SCHEMA_VERSION, TRIAL_COLUMNS
from bissl_ray.store.tables import to_rows
from bissl_ray.store.writer import SweepWriter

__all__ = [
    "REPORT_COLUMNS",
    "SCHEMA_VERSION",
    "TRIAL_COLUMNS",
    "DamagedFileWarning",
    "SweepWriter",
    "atomic_write",
    "check_name",
    "check_writable",
    "load_trials",
    "open_storage",
    "read_comparison_document",
    "read_reports",
    "read_stage_document",
    "read_sweep_document",
    "read_trials",
    "reason",
    "sweep_names",
    "to_rows",
    "write_comparison_document",
    "write_stage_document",
    "write_sweep_document",
]
