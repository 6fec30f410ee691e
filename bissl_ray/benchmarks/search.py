"""What a search needs to find what a hundred full random trials find, on a task that a stored sweep has taught.

The proposals, rungs and stops are those of a sweep, and so is their order; only what a trial comes to is a surrogate's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final

import numpy as np

from bissl_ray.benchmarks.surrogate import Surrogate
from bissl_ray.config.requests import WarmSource, WarmTrial
from bissl_ray.config.search_space import SearchSpace
from bissl_ray.search.planner import Planner
from bissl_ray.search.promotion import Rungs
from bissl_ray.search.proposals import Proposals
from bissl_ray.search.records import Record
from bissl_ray.words import Kind, Status, Step

METHODS: Final[Mapping[str, Mapping[str, Any]]] = {
    "random": {"sampler": "random"},
    "qmc": {"sampler": "qmc"},
    "tpe": {"sampler": "tpe"},
    "gp": {"sampler": "gp"},
    "tpe+asha": {"sampler": "tpe", "early_stopping": True},
    "tpe+promotion": {"sampler": "tpe", "early_stopping": True, "at_a_rung": "pause"},
    "tpe+hyperband": {"sampler": "tpe", "early_stopping": True, "at_a_rung": "pause", "brackets": 3},
    "warm": {"sampler": "tpe"},
    "warm+promotion": {"sampler": "tpe", "early_stopping": True, "at_a_rung": "pause"},
}
"""Ways to search, by what of the protocol makes them."""
WARM_TRIALS: Final = 30
"""Of the earlier sweep that "warm" starts from."""


@dataclass(frozen=True)
class Found:
    """How a search went.

    Attributes:
        spent: alternations until each new best trial had ended.
        worth: what each of these points is worth.
        total: alternations in all.
    """

    spent: list[int]
    worth: list[float]
    total: int

    def until(self, target: float) -> int | None:
        """Alternations from which on the best trial's point was worth so much, to the end; None: it was not, then.

        A lucky score may put a worse one in its place: what was found and lost again has not been found.
        """
        since = None
        for spent, worth in zip(self.spent, self.worth, strict=True):
            since = None if worth < target else since or spent
        return since


def searched(task: Surrogate, space: SearchSpace, method: str, trials: int, seed: int) -> Found:
    """Search a task once.

    Args:
        task: what trials come to.
        space: what is searched; known-good points are left out.
        method: one of `METHODS`.
        trials: explore trials.
        seed: of the proposals and of the trials' luck.
    """
    changes = {"early_stopping": False, **METHODS[method], "trials": trials, "seed": seed, "finalists": 1}
    protocol = space.protocol.model_copy(update={**changes, "plateau": None, "target": None})
    asked = space.model_copy(update={"protocol": protocol, "known_good": []})
    warm = [_earlier(task, space, seed)] if method.startswith("warm") else []
    return _run(task, asked, warm, np.random.default_rng(seed))


def _run(task: Surrogate, space: SearchSpace, warm: Sequence[WarmSource], drawn: np.random.Generator) -> Found:
    from bissl_ray.sweep.scheduler import ExploreASHA

    protocol = space.protocol
    pauses = protocol.early_stopping and protocol.at_a_rung == "pause"
    proposals = Proposals(space, (), warm)
    only: Any = Kind.BISSL
    planner = Planner(
        protocol, proposals, lambda n: [{}] * n, only=only, rungs=Rungs(protocol, task.alternations) if pauses else None
    )
    asha = ExploreASHA(protocol, task.alternations)
    curves: dict[str, Any] = {}
    spent, found = 0, Found([], [], 0)
    while (plan := planner.next()) is not None and plan.step == Step.SEARCH:
        record = plan.record
        curve = curves.setdefault(record.trial, task.run(record.point, drawn))
        end = plan.until or task.alternations
        stopped = False
        for alternation in range(max(record.curve, default=0) + 1, end + 1):
            spent += 1
            record.objective = float(curve[alternation - 1])
            record.curve[alternation] = record.objective
            proposals.report(record.trial, alternation, record.objective)
            stopped = _stops(asha, record, alternation, task.alternations)
            if stopped:
                break
        paused = not stopped and end < task.alternations
        record.status = Status.PAUSED if paused else Status.PRUNED if stopped else Status.COMPLETE
        proposals.tell(record)
        before = planner.ledger.incumbent
        planner.ended(plan)
        best = planner.ledger.incumbent
        if best is not None and best is not before:
            found.spent.append(spent)
            found.worth.append(task.worth(best.point))
        planner.settle()
    return Found(found.spent, found.worth, spent)


def _stops(asha: Any, record: Record, alternation: int, alternations: int) -> bool:
    config = {"trial": record.trial, "explore": True, "alternations": alternations}
    trial = SimpleNamespace(trial_id=record.trial, config=config)
    result = {"alternation": alternation, "objective": record.objective}
    return str(asha.on_trial_result(None, trial, result)) == "STOP"


def _earlier(task: Surrogate, space: SearchSpace, seed: int) -> WarmSource:
    """Random trials of the same task, as a sweep before this one would have left them."""
    protocol = space.protocol.model_copy(update={"sampler": "random", "seed": 10_000 + seed})
    proposals = Proposals(space.model_copy(update={"protocol": protocol, "known_good": []}))
    drawn = np.random.default_rng(10_000 + seed)
    trials = []
    for number in range(WARM_TRIALS):
        point, _ = proposals.ask(f"t{number:03d}")
        score = float(task.run(point, drawn)[-1])
        trials.append(WarmTrial(point=point, objective=score, alternation=task.alternations, complete=True))
    best = max(trials, key=lambda trial: trial.objective)
    return WarmSource(sweep="earlier", dataset=space.dataset, best=best.point, trials=tuple(trials))
