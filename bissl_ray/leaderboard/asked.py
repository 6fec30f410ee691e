"""What a sweep was asked for, and how much of it there has been: notes beside its result, which stands without them."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bissl_ray.errors import BadInputError
from bissl_ray.leaderboard.configurations import Configuration, finite
from bissl_ray.metrics import of_objective
from bissl_ray.separation import confidence_of_look, look, rounds_of_seeds
from bissl_ray.winner import on_front
from bissl_ray.words import WARM, Kind, Origin, Status, Step

if TYPE_CHECKING:
    from bissl_ray.config.search_space import SearchSpace


def space_of_sweep(storage: str | Path, sweep: str) -> "SearchSpace | None":
    """The search space of a sweep; None where its sweep.json is gone or can't be read."""
    from bissl_ray.store.documents import read_sweep_document

    with suppress(BadInputError):
        return read_sweep_document(storage, sweep).request.space
    return None


def cut_short(space: "SearchSpace | None", configurations: Sequence[Configuration]) -> str | None:
    """Say that exploring ended before its last trial, and why; None where it did not, or goes on.

    Args:
        space: of the sweep; None: not known.
        configurations: all of it.
    """
    explored = [c.head for c in configurations if c.head["step"] == Step.SEARCH]
    asked = 0 if space is None else space.protocol.trials
    confirming = any(c.tuning or c.seeds for c in configurations if c.head["step"] == Step.SEARCH)
    if space is None or not confirming or len(explored) >= asked:
        return None
    found = [finite(row["objective"]) for row in explored if row["status"] == Status.COMPLETE]
    target, plateau = space.protocol.target, space.protocol.plateau
    why = ""
    if target is not None and any(objective is not None and objective >= target for objective in found):
        why = ": the target is reached"
    elif plateau is not None:
        why = f": {plateau} trials found none that is better than the best before them"
    return f"Exploring ended after {len(explored)} of {asked} trials{why}."


def seeds_added(space: "SearchSpace | None", configurations: Sequence[Configuration]) -> str | None:
    """Say whether further seeds have told the best configuration apart, and from which not.

    Args:
        space: of the sweep; None: not known.
        configurations: all of it.

    Returns:
        A sentence; None where no seeds were to be added, or nothing is confirmed on either side.
    """
    most = None if space is None else space.protocol.most_seeds
    if space is None or most is None:
        return None
    protocol = space.protocol
    sides = [
        [c for c in configurations if c.kind == kind and len(c.scores) >= protocol.seeds]
        for kind in (Kind.BISSL, Kind.CONTROL)
    ]
    if not all(sides):
        return None
    scores = {c.head["trial"]: c.scores for side in sides for c in side}
    confidence = confidence_of_look(protocol.separation, len(rounds_of_seeds(protocol.seeds, most)))
    seen = look([[c.head["trial"] for c in side] for side in sides], scores, confidence)
    (best, *close), (control, *_) = seen.ahead
    known = {name for name in seen.going_on if name in (*close, control)}
    others = [*close, *(["the control"] if control in known else [])]
    seeds = f"{len(scores[best])} of at most {most} seeds"
    level = f"at {100 * protocol.separation:g}% over all looks"
    if not others:
        return f"{best} is told apart from the others and the control on validation after {seeds}, {level}."
    return f"{best} is not told apart from {', '.join(others)} on validation after {seeds}, {level}."


def warm_started(configurations: Sequence[Configuration]) -> list[str]:
    """What each earlier sweep has brought that this one started from, a sentence each.

    Args:
        configurations: all of the sweep.
    """
    explored = [c.head for c in configurations if c.head["step"] == Step.SEARCH]
    scores = {row["trial"]: score for row in explored if (score := finite(row["objective"])) is not None}
    ranked = sorted(scores, key=lambda trial: -scores[trial])
    by = {row["trial"]: row["origin"] or "" for row in explored}
    others = [score for trial, score in scores.items() if not by[trial].startswith((WARM, Origin.KNOWN_GOOD))]
    said = []
    for origin in sorted({name for name in by.values() if name.startswith(WARM)}):
        own = [trial for trial in ranked if by[trial] == origin]
        if not own:
            continue
        metric = of_objective(next(row["objective_name"] for row in explored if row["trial"] == own[0]))
        middle = f"{metric.score(median(scores[trial] for trial in own))} in the middle"
        against = f", {metric.score(median(others))} of those that it proposed itself" if others else ""
        trials = "1 trial" if len(own) == 1 else f"{len(own)} trials"
        place = f"the best in place {ranked.index(own[0]) + 1} of {len(ranked)} explored"
        said.append(f"Drawn from {origin.removeprefix(WARM)}: {trials}, {place}, {middle}{against}.")
    return said


def front_of(space: "SearchSpace | None", configurations: Sequence[Configuration]) -> tuple[str, ...]:
    """The explored trials that no other beats in both score and seconds, the best score first.

    Args:
        space: of the sweep; None: not known.
        configurations: all of it.

    Returns:
        Their names; none where the sweep searched for the score alone.
    """
    if space is None or space.protocol.trade_off is None:
        return ()
    whole = [c.head for c in configurations if c.head["step"] == Step.SEARCH and c.head["status"] == Status.COMPLETE]
    told = [
        (row["trial"], score, seconds)
        for row in whole
        if (score := finite(row["objective"])) is not None and (seconds := finite(row["seconds"])) is not None
    ]
    told.sort(key=lambda each: (-each[1], each[2], each[0]))
    found = on_front([(score, seconds) for _, score, seconds in told])
    return tuple(trial for (trial, _, _), is_on in zip(told, found, strict=True) if is_on)
