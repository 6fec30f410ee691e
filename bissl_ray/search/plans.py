"""One thing to run, and where explore points come from."""

from dataclasses import dataclass
from typing import Protocol

from bissl_ray.config.parameters import Point
from bissl_ray.search.records import Record
from bissl_ray.words import Phase, Step

RunKind = tuple[Phase, Step]
"""What a run is for: runs of one kind cost about as much. A look at the test split is of Step.TEST."""

STAGES: dict[RunKind, tuple[str, ...]] = {
    (Phase.EXPLORE, Step.SEARCH): ("head", "bissl"),
    (Phase.CONFIRM, Step.TUNING): ("finetune",),
    (Phase.CONFIRM, Step.SEEDS): ("head", "bissl", "finetune"),
    (Phase.CONTROL, Step.TUNING): ("head", "finetune"),
    (Phase.CONTROL, Step.SEEDS): ("head", "finetune"),
}
"""Stages of the pipeline that a trial runs."""
TEST_STAGES = ("test",)


def plan_of(record: Record, until: int | None = None) -> "Plan":
    """The plan by which a trial runs.

    Args:
        record: of the trial.
        until: alternation after which it pauses; None: it goes on to its end.
    """
    start = record.parent if (record.phase, record.step) == (Phase.CONFIRM, Step.TUNING) else None
    return Plan(record, STAGES[record.phase, record.step], start, until)


class Proposer(Protocol):
    """Where explore points come from: Optuna in a sweep."""

    def ask(self, trial: str) -> tuple[Point, str]:
        """Return a point for this trial, and who proposed it."""
        ...


@dataclass(frozen=True)
class Plan:
    """One thing to run: a trial, or the test of a finished one.

    Attributes:
        record: of the trial.
        stages: of the pipeline, in order; TEST_STAGES for a test.
        start: trial whose final models it starts from; None: the pretrained checkpoint.
        until: alternation after which an explore trial pauses; None: it goes on to its end.
    """

    record: Record
    stages: tuple[str, ...]
    start: str | None
    until: int | None = None

    @property
    def step(self) -> Step:
        """The step of the sweep that it belongs to."""
        return Step.TEST if self.stages == TEST_STAGES else self.record.step

    @property
    def key(self) -> tuple[str, bool]:
        """What tells it from any other plan in flight: the trial, and whether it is its test."""
        return self.record.trial, self.step == Step.TEST

    @property
    def kind(self) -> RunKind:
        """What it is for."""
        return self.record.phase, self.step
