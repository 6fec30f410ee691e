"""Parquet store of sweeps: trials and reports (docs/architecture.md, "The store").

The recipes in launch/ import `sweep_names`. What was asked for is in `documents`, which is imported by itself: it needs
pydantic, and a board does not.
"""

from bissl_ray.store.filesystem import atomic_write, check_writable, open_storage, reason
from bissl_ray.store.paths import check_name, sweep_names
from bissl_ray.store.reader import DamagedFileWarning, load_trials, read_reports, read_trials
from bissl_ray.store.schema import REPORT_COLUMNS, TRIAL_COLUMNS
from bissl_ray.store.tables import to_rows
from bissl_ray.store.writer import SweepWriter

__all__ = [
    "REPORT_COLUMNS",
    "TRIAL_COLUMNS",
    "DamagedFileWarning",
    "SweepWriter",
    "atomic_write",
    "check_name",
    "check_writable",
    "load_trials",
    "open_storage",
    "read_reports",
    "read_trials",
    "reason",
    "sweep_names",
    "to_rows",
]
