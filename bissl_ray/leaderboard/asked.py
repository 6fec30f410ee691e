"""What a sweep was asked for, and how much of it there has been: notes beside its result, which stands without them."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bissl_ray.errors import BadInputError
from bissl_ray.leaderboard.configurations import Configuration, finite
from bissl_ray.words import Status, Step

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
