"""What a sweep was asked for, and how much of it there has been: notes beside its result, which stands without them."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from bissl_ray.errors import BadInputError
from bissl_ray.leaderboard.configurations import Configuration, finite
from bissl_ray.metrics import of_objective
from bissl_ray.separation import confidence_of_look, look, rounds_of_seeds
from bissl_ray.store import to_rows
from bissl_ray.store.arrays import literal
from bissl_ray.winner import on_front
from bissl_ray.words import WARM, Kind, Origin, Status

if TYPE_CHECKING:
    from bissl_ray.config.search_space import SearchSpace


def space_of_sweep(storage: str | Path, sweep: str) -> "SearchSpace | None":
    """The search space of a sweep; None where its sweep.json is gone or can't be read."""
    from bissl_ray.config.documents import SweepDocument
    from bissl_ray.store.documents import read_document

    with suppress(BadInputError):
        document = read_document(storage, sweep, SweepDocument)
        return None if document is None else document.request.space
    return None


def cut_short(space: "SearchSpace | None", explored: pa.Table, confirming: bool) -> str | None:
    """Say that exploring ended before its last trial, and why; None where it did not, or goes on.

    Args:
        space: of the sweep; None: not known.
        explored: its explore trials, in columns.
        confirming: whether an explored trial has further runs.
    """
    asked = 0 if space is None else space.protocol.trials
    if space is None or not confirming or len(explored) >= asked:
        return None
    found = pc.max(explored.filter(pc.equal(explored["status"], literal(Status.COMPLETE)))["objective"]).as_py()
    target, plateau = space.protocol.target, space.protocol.plateau
    why = ""
    if target is not None and found is not None and found >= target:
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


def warm_started(explored: pa.Table) -> list[str]:
    """What each earlier sweep has brought that this one started from, a sentence each.

    Args:
        explored: the sweep's explore trials, in columns.
    """
    origins = [name or "" for name in pc.unique(explored["origin"]).to_pylist()]
    warm = sorted(name for name in origins if name.startswith(WARM))
    if not warm:
        return []
    rows = [row for row in to_rows(explored) if finite(row["objective"]) is not None]
    rows.sort(key=lambda row: -row["objective"])
    by = [row["origin"] or "" for row in rows]
    others = [row["objective"] for row in rows if not (row["origin"] or "").startswith((WARM, Origin.KNOWN_GOOD))]
    said = []
    for origin in warm:
        own = [row for row in rows if row["origin"] == origin]
        if not own:
            continue
        metric = of_objective(own[0]["objective_name"])
        middle = f"{metric.score(median(row['objective'] for row in own))} in the middle"
        against = f", {metric.score(median(others))} of those that it proposed itself" if others else ""
        trials = "1 trial" if len(own) == 1 else f"{len(own)} trials"
        place = f"the best in place {by.index(origin) + 1} of {len(rows)} explored"
        said.append(f"Drawn from {origin.removeprefix(WARM)}: {trials}, {place}, {middle}{against}.")
    return said


def front_of(space: "SearchSpace | None", explored: pa.Table) -> tuple[str, ...]:
    """The explored trials that no other beats in both score and seconds, the best score first.

    Args:
        space: of the sweep; None: not known.
        explored: its explore trials, in columns.

    Returns:
        Their names; none where the sweep searched for the score alone.
    """
    if space is None or space.protocol.trade_off is None:
        return ()
    told = [
        (row["trial"], score, seconds)
        for row in to_rows(explored.filter(pc.equal(explored["status"], literal(Status.COMPLETE))))
        if (score := finite(row["objective"])) is not None and (seconds := finite(row["seconds"])) is not None
    ]
    told.sort(key=lambda each: (-each[1], each[2], each[0]))
    found = on_front([(score, seconds) for _, score, seconds in told])
    return tuple(trial for (trial, _, _), is_on in zip(told, found, strict=True) if is_on)
