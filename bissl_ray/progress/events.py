"""The events of a run, from a worker to a terminal. Views draw them, and do nothing else."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from bissl_ray.progress.track import Track


@dataclass(frozen=True)
class Decoding:
    """How many images are in the cache of decoded images, of how many; before a run's first stage.

    Attributes:
        done: decoded so far, by this process or by another of this machine.
        total: to be decoded; the last of these events has done equal to it.
    """

    done: int
    total: int

    @property
    def words(self) -> str:
        """The same for a line."""
        return f"decoding {self.done:,} of {self.total:,} images (once per machine)"


@dataclass(frozen=True)
class Note:
    """A line that a person should read, and that stays."""

    line: str


@dataclass(frozen=True)
class Step:
    """Where a stage is, after a step that others of the same stage follow; told a few times a second.

    Attributes:
        stage: its name in the pipeline; where scores are all that is wanted, whose images are looked at.
        done: how many steps, alternations or batches lie behind.
        total: of how many.
        unit: what a person counts; epochs are counted in steps here.
        per_epoch: steps in an epoch; 1 where something else is counted.
        loss: of the last step, on the chief's images; None where there is none to tell.
    """

    stage: str
    done: int
    total: int
    unit: Literal["epoch", "alternation", "batch"]
    per_epoch: int = 1
    loss: float | None = None


@dataclass(frozen=True)
class Report:
    """What was measured after an epoch or an alternation.

    Attributes:
        row: columns of a report in the store, "so_far" (what the trial has come to and cost) among them.
    """

    row: Mapping[str, Any]


@dataclass(frozen=True)
class Alive:
    """A sign of life of a run, between its reports; the last one holds until another event comes.

    Attributes:
        waits_for: what it waits for, in words, such as a storage that refuses; None: it works.
    """

    waits_for: str | None = None


@dataclass(frozen=True)
class StageEnded:
    """A stage of the pipeline has run to its end."""

    stage: str


@dataclass(frozen=True)
class TrialEnded:
    """A trial, or a stage run by itself, is over.

    Attributes:
        how: "complete"; "paused": where its order has it pause; "pruned": it ended itself early, in good order;
            "failed"; "stopped": as it was asked to.
        result: what it came to; empty unless complete.
        reason: why, in words, where it is not complete.
    """

    how: Literal["complete", "paused", "pruned", "failed", "stopped"]
    result: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None


class Spent(NamedTuple):
    """How much of a budget is used.

    Attributes:
        used: seconds of it, of wall-clock time or of GPU time.
        limit: seconds of it in all.
        of: which.
    """

    used: float
    limit: float
    of: Literal["wall", "gpu"]


@dataclass(frozen=True)
class SweepProgress:
    """Where a sweep stands; told whenever one of its trials has begun, reported or ended.

    Attributes:
        phase: in words, such as "exploring" or "confirming over seeds".
        total: runs that the sweep will have had at its end, as far as is known (epochs, while pretraining).
        done: runs that have ended, pruned and failed ones included.
        running: runs under way.
        pruned: runs stopped early.
        failed: runs that failed.
        elapsed: seconds since the sweep began.
        left: seconds that remain, by estimate; None while unknown.
        best: trial and objective of the best so far; None before there is one.
        objective_name: what the objective is called; None before there is one.
        trials: gives rows of trials as the store has them, for the table; asked where one is drawn.
        trouble: one line on what the person should see to, such as a full disk; None if all is well.
        doing: what the runs wait for before they begin, such as images that are decoded; None: nothing.
        paused: runs that wait at a rung.
        sweep: its name, where several run together.
        beside: runs under way of those that run with it, by name.
        dataset: that it is on.
        where: the cluster that it runs on, in words.
        slots: worker groups that there is room for; None: not known.
        budget: of exploring; None: there is none.
        tracks: gives what trials under way have reported, by name; asked where a picture is drawn.
    """

    phase: str
    total: int
    done: int
    running: int = 0
    pruned: int = 0
    failed: int = 0
    elapsed: float = 0.0
    left: float | None = None
    best: tuple[str, float] | None = None
    objective_name: str | None = None
    trials: Callable[[], Sequence[dict[str, Any]]] = list
    trouble: str | None = None
    doing: str | None = None
    paused: int = 0
    sweep: str | None = None
    beside: Mapping[str, int] = field(default_factory=dict)
    dataset: str | None = None
    where: str | None = None
    slots: int | None = None
    budget: Spent | None = None
    tracks: Callable[[], Mapping[str, Track]] = dict


Event = Alive | Decoding | Note | Step | Report | StageEnded | TrialEnded | SweepProgress


class View(Protocol):
    """Shows what happens, in the process that started it."""

    def show(self, event: Event) -> None:
        """Draw it; of events that a view has no picture for, nothing."""
        ...


class Quiet:
    """Shows nothing."""

    def show(self, event: Event) -> None:
        """Nothing."""
