"""The words that a sweep's rows hold: the planner chooses them, the store keeps them, the board and the CLI read them.

They are strings: rows read from Parquet compare equal to them, and what is written of them are plain words.
"""

from enum import StrEnum
from typing import Final

PARAMETER_PREFIX: Final = "param_"
"""How the column of a setting begins; its name follows."""


WARM: Final = "warm:"
"""How the origin of a trial begins that an earlier sweep proposed; its name follows."""

PBT: Final = "pbt:"
"""How the origin of a trial begins that took over from another; its name follows."""

ALIGNING: Final = ("bissl", "joint")
"""Stages that bring the backbone nearer to the task, one alternation after another, and report after each."""


class Status(StrEnum):
    """How a trial stands."""

    RUNNING = "running"
    """Under way, or interrupted: resuming takes it up again."""
    PAUSED = "paused"
    """Waits at a rung, with all that it needs to go on; goes on if it is among the best that have come as far."""
    COMPLETE = "complete"
    PRUNED = "pruned"
    """Stopped early, by ASHA or by itself."""
    FAILED = "failed"


class Phase(StrEnum):
    """What a trial is for."""

    EXPLORE = "explore"
    CONFIRM = "confirm"
    """Full fine-tuning after BiSSL."""
    CONTROL = "control"
    """Plain fine-tuning, with the same budget."""


class Step(StrEnum):
    """How far a sweep is in its protocol when it runs a trial; in this order."""

    SEARCH = "search"
    """An explore trial."""
    TUNING = "tuning"
    """A fine-tuning run at one point of the fine-tuning search."""
    SEEDS = "seeds"
    """A confirmation run with one seed."""
    TEST = "test"
    """The look at the test split: never a row of its own, its metric joins the row of a confirmation run."""


STEPS: Final = {
    Step.SEARCH: "exploring",
    Step.TUNING: "searching fine-tuning",
    Step.SEEDS: "confirming over seeds",
    Step.TEST: "one look at the test split",
}
"""What a sweep is at, for a person."""


class Origin(StrEnum):
    """Who proposed a trial. Proposals of the search go by the name of their sampler."""

    KNOWN_GOOD = "known_good"
    TPE = "tpe"
    RANDOM = "random"
    QMC = "qmc"
    GP = "gp"
    CMAES = "cmaes"
    NSGA2 = "nsga2"
    FIXED = "fixed"
    """Nothing was searched."""
    RESUMED = "resumed"
    """Of earlier releases."""
    TUNING = "tuning"
    SEEDS = "seeds"


class Kind(StrEnum):
    """What a configuration on the board is."""

    BISSL = "bissl"
    CONTROL = "control"
    """What BiSSL is compared with."""


class Standing(StrEnum):
    """What the score of a configuration on the board is worth."""

    CONFIRMED = "confirmed"
    """A mean over seeds, after fine-tuning."""
    EXPLORED = "explored"
    """Of one run before it, or none yet."""
