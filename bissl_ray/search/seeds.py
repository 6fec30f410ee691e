"""How many seeds each configuration is confirmed over: more where they decide (issue 17)."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from bissl_ray.config.protocol import Protocol
from bissl_ray.search.records import Record
from bissl_ray.separation import confidence_of_look, look, rounds_of_seeds


def seed_runs(parent: str, seeds: int, protocol: Protocol) -> list[tuple[int, str]]:
    """The first so many seeds of a configuration, counted from the protocol's own, with the names of its runs."""
    return [(s, f"{parent}-s{s}") for s in range(protocol.first_seed, protocol.first_seed + seeds)]


def seeds_wanted(
    sides: Sequence[Sequence[str]], records: Mapping[str, Record], protocol: Protocol, tuned: bool
) -> dict[str, int]:
    """How many seeds each configuration is to have: those of the first round, and more in each that does not decide.

    Args:
        sides: configurations of BiSSL and of the control.
        records: what has run, by name.
        protocol: says of how many seeds the rounds are.
        tuned: whether it is known who is confirmed; before that, none has more than the first round.
    """
    rounds = rounds_of_seeds(protocol.seeds, protocol.most_seeds)
    confidence = confidence_of_look(protocol.separation, len(rounds))
    wanted = {name: rounds[0] for side in sides for name in side}
    if len(rounds) == 1 or not tuned:
        return wanted
    ahead = sides
    for seeds, more in pairwise(rounds):
        scores = {name: _scores(name, min(seeds, wanted[name]), records, protocol) for side in ahead for name in side}
        if None in scores.values():
            return wanted
        seen = look(ahead, {name: found for name, found in scores.items() if found is not None}, confidence)
        ahead = seen.ahead
        wanted |= dict.fromkeys(seen.going_on, more)
    for side, best in zip(sides, ahead, strict=True):
        # Where an extension puts another ahead, it is to have as many as those before it have had.
        had = [sum(run in records for _, run in seed_runs(name, rounds[-1], protocol)) for name in side]
        wanted |= {name: max(wanted[name], *had) for name in best}
    return wanted


def _scores(parent: str, seeds: int, records: Mapping[str, Record], protocol: Protocol) -> dict[int, float] | None:
    """Objectives of a configuration by seed, of the first so many; None while any of these runs is to come."""
    runs = {s: records.get(name) for s, name in seed_runs(parent, seeds, protocol)}
    if any(run is None or not run.ended for run in runs.values()):
        return None
    return {s: run.objective for s, run in runs.items() if run and run.scored and run.objective is not None}
