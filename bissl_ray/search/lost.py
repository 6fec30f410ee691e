"""What files that can't be read have taken from a sweep: trials that begin anew, names that no other trial may have.

A trial that goes on tells again what it had told. But where trials pause, who goes on is decided by what they have
told: there one whose reports are not all there begins anew. A name of which reports are left, but no row, is not given
away: they would become those of another trial.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bissl_ray.config.settings import finetune_marks
from bissl_ray.search.records import Record, began_at
from bissl_ray.store.reader import Damaged
from bissl_ray.words import ALIGNING, PARAMETER_PREFIX, Status

_EXPLORED: Final = re.compile(r"t\d+(-\d+)?")
_OPEN: Final = frozenset({Status.RUNNING, Status.PAUSED})
_FEW: Final = 4


@dataclass(frozen=True)
class Lost:
    """What is missing of a sweep.

    Attributes:
        damaged: files that can't be read.
        anew: open trials whose reports are not all there, by name, each with what is missing, in words.
        rowless: trials of which something is left, but no row.
    """

    damaged: Sequence[Damaged] = ()
    anew: Mapping[str, str] = field(default_factory=dict)
    rowless: frozenset[str] = frozenset()

    @property
    def explored(self) -> list[str]:
        """Explore trials without a row: others take their places."""
        return sorted(name for name in self.rowless if _EXPLORED.fullmatch(name))

    @property
    def followed(self) -> list[str]:
        """The others without a row, which run again under their names."""
        return sorted(name for name in self.rowless if not _EXPLORED.fullmatch(name))

    def let_begin_anew(self, records: Iterable[Record]) -> None:
        """Bring the records of open trials whose reports are not all there to where they begin."""
        for record in records:
            if record.trial in self.anew:
                record.status, record.objective = Status.RUNNING, None
                record.curve.clear()


def find_lost(
    trials: Iterable[Mapping[str, Any]],
    reports: Iterable[Mapping[str, Any]],
    damaged: Sequence[Damaged] = (),
) -> Lost:
    """Hold the rows of one sweep against each other.

    Args:
        trials: rows of trials, the newest of each.
        reports: rows of reports.
        damaged: files of the sweep that can't be read.
    """
    rows = {row["trial"]: row for row in trials}
    told: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for report in reports:
        told[report["trial"]].append(report)
    anew = {
        name: missing
        for name, row in rows.items()
        if row["status"] in _OPEN and (missing := missing_reports(row, told[name])) is not None
    }
    # A trial's row is on disk before its reports, and before rows of those that come from it.
    parents = {row["parent"] for row in rows.values()} - {None}
    return Lost(damaged, anew, frozenset({*told, *parents} - rows.keys()))


def missing_reports(row: Mapping[str, Any], reports: Sequence[Mapping[str, Any]]) -> str | None:
    """Which of a trial's reports are missing, in words; None: as far as can be told, none is.

    Args:
        row: of the trial.
        reports: all that there are of it.
    """
    known = {report["alternation"] for report in reports if report["stage"] in ALIGNING}
    wanted = range(began_at(row["trial"], row["step"]) + 1, (row["alternations"] or 0) + 1)
    missing = [str(alternation) for alternation in wanted if alternation not in known]
    if missing:
        more = f" and {len(missing) - _FEW} more" if len(missing) > _FEW else ""
        which = "the report of alternation" if len(missing) == 1 else "reports of alternations"
        return f"{which} {', '.join(missing[:_FEW])}{more} {'is' if len(missing) == 1 else 'are'} missing"
    steps = {report["finetune_step"] for report in reports if report["stage"] == "finetune"} - {None}
    looks = row.get(f"{PARAMETER_PREFIX}finetune_reports")
    if row["status"] == Status.COMPLETE and steps and looks is not None:
        unseen = [str(step) for step in finetune_marks(max(steps), looks) if step not in steps]
        if unseen:
            return f"reports of fine-tuning are missing, of step {', '.join(unseen)}"
    objective = row["objective"]
    if objective is not None and objective == objective and all(report["objective"] != objective for report in reports):
        return f"the report of its objective, {objective:.4g}, is missing"
    return None
