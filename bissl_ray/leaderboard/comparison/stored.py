"""Which stored rows a comparison was made of: a fingerprint, to be printed beside its figures (issue 16)."""

import hashlib
import json
from collections.abc import Iterable
from typing import Final

from bissl_ray.store.schema import Row
from bissl_ray.words import PARAMETER_PREFIX

_TOLD: Final = (
    "dataset",
    "trial",
    "parent",
    "phase",
    "step",
    "control",
    "status",
    "seed",
    "labels_per_class",
    "label_draw",
)
_FOUND: Final = ("objective_name", "objective", "test_metric", "alternations", "hvps")


def fingerprint(trials: Iterable[Row]) -> str:
    """SHA-256, in hexadecimal, of what ran and what came of it, whatever the order of the rows.

    Times, machines and versions are left out, and so are the sweeps' names: the same trials with the same results have
    the same fingerprint wherever they ran. It changes with each row that is added.

    Args:
        trials: rows, as `to_rows(read_trials(...))` gives them.
    """
    lines = []
    for row in trials:
        names = [*_TOLD, *_FOUND, *(name for name in row if name.startswith(PARAMETER_PREFIX))]
        # What a row doesn't have is as if its column weren't there: later versions add columns.
        lines.append(json.dumps({name: row[name] for name in names if row.get(name) is not None}, sort_keys=True))
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
