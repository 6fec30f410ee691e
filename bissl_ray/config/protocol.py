"""How a sweep is run and judged (explore, tune, confirm over seeds), and how much exploring may cost."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bissl_ray.config.refusal import RuleError
from bissl_ray.errors import BadInputError


class Protocol(BaseModel):
    """The size of each phase of a sweep, and what proposes and stops its trials."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    trials: int = Field(50, ge=1, le=1_000_000, description="explore trials, the known-good points among them")
    finalists: int = Field(
        3, ge=1, le=1_000_000, description="best explore trials that go on to fine-tuning; fewer where fewer completed"
    )
    finetune_runs: int = Field(
        4,
        ge=1,
        le=1_000_000,
        description="points of the fine-tuning search per finalist; the control gets finalists times as many",
    )
    finetune_seeds: int = Field(
        1,
        ge=1,
        le=1_000,
        description="runs of each of these points, for BiSSL and control alike, on seeds of their own; from 2 on the "
        "better half then gets as many again as it has had, until two are left, and the best mean is confirmed. One "
        "run is a lottery where labels are few (docs/does-it-pay.md)",
    )
    seeds: int = Field(
        5, ge=2, le=1_000, description="seeds of the confirmation; at least 2, or there is no interval to report"
    )
    most_seeds: int | None = Field(
        None,
        ge=2,
        le=1_000,
        description="seeds that those get, of the finalists and the control, which `seeds` have not told apart: twice "
        "as many each time, as long as the best is not separated; null: `seeds` for all",
    )
    separation: float = Field(
        0.95,
        gt=0.5,
        lt=1,
        description="confidence at which `most_seeds` has configurations told apart, over all rounds together",
    )
    first_seed: int = Field(
        1,
        ge=1,
        le=1_000_000,
        description="seeds of the confirmation are numbered from seed + first_seed on; a comparison that takes over a "
        "sweep's winner takes seeds that had no part in choosing it",
    )
    early_stopping: bool = Field(True, description="whether ASHA stops trials that fall behind")
    at_a_rung: Literal["stop", "pause", "exploit"] = Field(
        "stop",
        description="what happens there: ASHA stops a trial that is behind when it comes; or pauses every trial, and "
        "lets go on, from where it stopped and in any group, whichever is among the best of all that have come as far; "
        "or (exploit) population-based training: all trials pause there, one in `reduction_factor`, the worst, are "
        "ended, and a trial with the weights of one of as many best, and settings near that one's, takes the place of "
        "each",
    )
    grace: int = Field(
        20,
        ge=1,
        lt=2**53,
        description="alternations before ASHA may stop a trial; from the last one on, none is stopped. With exploit, "
        "from one rung to the next",
    )
    reduction_factor: int = Field(
        3, ge=2, lt=2**53, description="ASHA keeps one in so many trials at a rung, and rungs lie this factor apart"
    )
    brackets: int = Field(
        1,
        ge=1,
        le=10,
        description="Hyperband's: trials of each further one are compared from one rung later on, among themselves; 1: "
        "all from the first, which is ASHA",
    )
    plateau: int | None = Field(
        None,
        ge=1,
        lt=2**53,
        description="exploring ends when so many trials, proposed after the best one, have found no better; null: it "
        "goes on to the last trial",
    )
    target: float | None = Field(
        None,
        description="exploring ends when a trial that ran to its end has this objective, 0.92 for instance (negative "
        "where less is better); null: it goes on to the last trial",
    )
    sampler: Literal["tpe", "gp", "cmaes", "nsga2", "random", "qmc"] = Field(
        "tpe",
        description="what proposes: tree-structured Parzen estimator; Gaussian process (for a few hundred trials: each "
        "takes longer than the one before), CMA-ES and NSGA-II, which learn from trials that ran to their end alone; "
        "random; quasi-Monte Carlo",
    )
    trade_off: Literal["seconds"] | None = Field(
        None,
        description="what the search has an eye on beside the score: the seconds that a trial takes. Finalists are the "
        "best of those that no other explored trial beats in both; early_stopping must be off, or a trial would be "
        "quick for having been stopped. null: the score alone",
    )
    startup_trials: int = Field(
        10, ge=0, lt=2**53, description="random trials before TPE, GP or CMA-ES starts to model"
    )
    seed: int = Field(0, ge=0, le=2**32 - 1, description="seed of the proposals")
    hung_after: float | None = Field(
        20.0,
        ge=2,
        description="a run that has given no sign of life for so many times as long as the longest that any of its "
        "kind took to a report, in this sweep, has hung: its worker group is ended, and it goes on from its checkpoint "
        "in another, or is failed the third time. Before any has reported, a day. null: never",
    )
    hung_minutes: float = Field(30.0, gt=0, description="no run has hung that was silent for less, minutes")

    @model_validator(mode="after")
    def _trades_off_whole_trials(self) -> "Protocol":
        if self.trade_off is None:
            return self
        if self.early_stopping:
            raise RuleError(f"found {self.trade_off} with early_stopping: true, expected it to be false", "trade_off")
        if self.sampler == "cmaes":
            raise RuleError(
                f"found {self.trade_off} with sampler: cmaes, which has one objective; expected tpe, nsga2, gp, qmc or "
                "random",
                "trade_off",
            )
        return self

    @model_validator(mode="after")
    def _seeds_go_up(self) -> "Protocol":
        if self.most_seeds is not None and self.most_seeds < self.seeds:
            raise RuleError(
                f"found {self.most_seeds} with seeds: {self.seeds}, expected as many or more; raise it, or lower seeds",
                "most_seeds",
            )
        return self

    @model_validator(mode="after")
    def _is_one_population(self) -> "Protocol":
        if self.at_a_rung != "exploit":
            return self
        if not self.early_stopping:
            raise RuleError("found exploit with early_stopping: false, expected it to be true", "at_a_rung")
        if self.brackets > 1:
            raise RuleError(f"found exploit with brackets: {self.brackets}, expected 1: all are one", "at_a_rung")
        if self.trials < 2:
            raise RuleError("found exploit with trials: 1, expected 2 or more: they are its population", "at_a_rung")
        return self

    def tuning_rounds(self, points: int, places: int = 1) -> list[tuple[int, int]]:
        """How points of the fine-tuning search are halved while their runs double, as `finetune_seeds` says.

        Args:
            points: of the search.
            places: configurations that they are for; of each, two points are left in the end.

        Returns:
            Of each round, how many points are left in it, and how many runs each of them has had after it.
        """
        seeds, left = self.finetune_seeds, -(-points // places)
        found = [(points, seeds)]
        while self.finetune_seeds > 1 and left > 2:
            left, seeds = -(-left // 2), 2 * seeds
            found.append((min(places * left, points), seeds))
        return found

    def rungs(self, alternations: int) -> list[int]:
        """Alternations after which trials are compared: grace, then each further by the reduction factor.

        With `at_a_rung: exploit` they lie `grace` apart.

        Args:
            alternations: of the longest trial that there may be; at its end there is nothing left to stop.
        """
        found, level = [], self.grace
        while level < alternations:
            found.append(level)
            level = level + self.grace if self.at_a_rung == "exploit" else level * self.reduction_factor
        return found

    @property
    def tuning_runs(self) -> int:
        """Fine-tuning runs of each side, where none fails."""
        return self.finalists * runs_of_rounds(self.tuning_rounds(self.finetune_runs))


def runs_of_rounds(rounds: Sequence[tuple[int, int]], after: int = 0) -> int:
    """How many runs the rounds of a fine-tuning search take, from the one of this number on."""
    before = [0, *(seeds for _, seeds in rounds)]
    return sum(points * (seeds - before[i]) for i, (points, seeds) in enumerate(rounds) if i >= after)


_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_FORM = re.compile(r"(\d+(?:\.\d+)?)\s*(gpuh|[smhd])", re.IGNORECASE)


@dataclass(frozen=True)
class Budget:
    """A limit; once it is reached no further explore trial starts, and confirmation goes on with what there is.

    Attributes:
        seconds: of wall-clock time, or of GPU time.
        of: which.
    """

    seconds: float
    of: Literal["wall", "gpu"]

    def spent(self, wall: float, of_gpus: float) -> bool:
        """Whether the limit is reached.

        Args:
            wall: seconds that this run of the sweep has had.
            of_gpus: the same, times the GPUs that it occupied.
        """
        return (of_gpus if self.of == "gpu" else wall) >= self.seconds


def parse_budget(text: str) -> Budget:
    """Read "90m", "2h", "1.5d" (time) or "40gpuh" (GPU-hours).

    Raises:
        BadInputError: anything else.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None or float(match[1]) == 0:
        dotted = text.replace(",", ".")
        hint = f"; write {dotted}" if dotted != text and _FORM.fullmatch(dotted.strip()) else ""
        expected = "expected a time such as 90m, 2h or 1d, or GPU-hours such as 40gpuh"
        raise BadInputError(f"--budget {text}: {expected}{hint}")
    number, unit = float(match[1]), match[2].lower()
    return Budget(number * 3600.0, "gpu") if unit == "gpuh" else Budget(number * _SECONDS[unit], "wall")
