"""Whether a trial that is run again comes to what is stored of it: every report's objective, and its last."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from bissl_ray.config.requests import StageRequest
from bissl_ray.progress import Event, Report, View
from bissl_ray.stages.again import Again
from bissl_ray.store.schema import REPORT_FIGURES, Row
from bissl_ray.words import Status

_Key = tuple[str, int | None]


@dataclass(frozen=True)
class Verdict:
    """How the results compare.

    Attributes:
        same: whether all that could be compared is equal, as floats; None: there was nothing to compare.
        words: the same in a sentence, with the first report that is another.
    """

    same: bool | None
    words: str


class Compared:
    """Passes the events of a run on, and keeps what its reports say."""

    def __init__(self, view: View, again: Again, request: StageRequest) -> None:
        """Set up.

        Args:
            view: shows the events.
            again: the stored trial.
            request: by which it is run again.
        """
        self._view, self._again, self._changed = view, again, again.changed(request)
        # Earlier releases counted epochs, and kept an epoch's last report.
        self._by_step = any(report["finetune_step"] is not None for report in again.reports)
        self._here: dict[_Key, Mapping[str, Any]] = {}
        self.so_far: Row = {}
        """What the run has come to with its last report."""

    def show(self, event: Event) -> None:
        """Keep a report, and show it."""
        if isinstance(event, Report):
            for row in (*event.row.get("earlier", ()), event.row):  # before it was interrupted
                self._here[self._key(row)] = row
            self.so_far = dict(event.row["so_far"])
        self._view.show(event)

    def judged(self, result: Row, ended: str | None = None) -> Row:
        """The result with the verdict on it, as stage.json keeps it; that of a run which was cut short is its last."""
        for row in result.get("earlier", ()):
            self._here[self._key(row)] = row
        whole = result or {name: value for name, value in self.so_far.items() if name != "checkpoint"}
        return {**whole, "again": {**asdict(self.verdict(whole, ended)), "changed": self._changed}}

    def verdict(self, result: Mapping[str, Any], ended: str | None = None) -> Verdict:
        """Compare what the run has come to.

        Args:
            result: of the run.
            ended: why it ended before its end; None: it did not.
        """
        row, name, objective = self._again.row, self._again.name, result.get("objective")
        stored = {self._key(report): report for report in self._sorted(self._again.reports)}
        both = [key for key in stored if key in self._here]
        if not both and None in (row["objective"], objective):
            return Verdict(None, f"{name} has no report that this run could be compared with")
        first = self._first(stored, both, ("objective",))
        if first is None and not _equal(row["objective"], objective):
            first = f"objective in the end, {objective} here, {row['objective']} stored"
        figure = self._first(stored, both, REPORT_FIGURES)
        if first is not None:
            before = "" if figure in (None, first) else f"; before that {figure}"
            return Verdict(False, f"{name} does not come to what is stored: {first}{before}")
        of_all = f"all {len(stored)} reports" if len(stored) != 1 else "its report"
        if len(both) < len(stored):
            of_all = f"{len(both)} of {len(stored)} reports, those since it was gone on with"
        told = f"objective {objective}, and those of {of_all}{self._end(ended)}"
        if figure is not None:
            return Verdict(True, f"{name} comes to what is stored: {told}; not bit for bit: {figure}")
        return Verdict(True, f"{name} comes to what is stored, bit for bit: {told}")

    def _first(self, stored: Mapping[_Key, Row], both: Iterable[_Key], figures: Iterable[str]) -> str | None:
        """The first figure of the reports that differs, in words; those that a release did not have are passed over."""
        for key in both:
            for name in figures:
                here, there = self._here[key].get(name), stored[key][name]
                if not _equal(here, there) and (name == "objective" or None not in (here, there)):
                    unit = "epoch" if key[0] == "finetune" and not self._by_step else _UNITS[key[0]]
                    return f"{name} of {unit} {key[1]}, {here} here, {there} stored"
        return None

    def _end(self, ended: str | None) -> str:
        why = self._again.row["status_reason"]
        if ended is not None:
            return f"; both ended early: {ended}" if self.ended_alike(ended) else f"; but this run ended early: {ended}"
        if self._again.row["status"] == Status.FAILED:
            return f"; that failed then ({why}), and this run went on to its end"
        return ""

    def ended_alike(self, ended: str) -> bool:
        """Whether the stored trial ended early for a reason, too."""
        return ended in (self._again.row["status_reason"] or "")

    def _key(self, report: Mapping[str, Any]) -> _Key:
        if report["stage"] != "finetune":
            return str(report["stage"]), report["alternation"]
        return "finetune", report["finetune_step"] if self._by_step else report["epoch"]

    def _sorted(self, reports: Iterable[Row]) -> list[Row]:
        return sorted(reports, key=lambda report: (report["stage"] == "finetune", self._key(report)[1] or 0))


_UNITS: Final = {"bissl": "alternation", "joint": "alternation", "finetune": "fine-tuning step"}


def _equal(one: Any, other: Any) -> bool:
    return bool(one == other or (one != one and other != other))
