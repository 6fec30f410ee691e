"""What a sampler is told of a long search: the best trials, and some of the others.

TPE weighs two densities against each other, that of the best (25 at most, of one objective) and that of all others
(Bergstra et al. 2011), and goes through every trial for it at each proposal: a tenth of a second with 7,000 of them.
The best stay; of the others a sample drawn alike gives the same density, and more trials make a proposal no slower.
"""

import math
import random
from collections.abc import Collection
from typing import Final

from bissl_ray.config.protocol import Protocol
from bissl_ray.search.records import Record
from bissl_ray.winner import front_first
from bissl_ray.words import Status

MOST: Final = 500
"""Trials that a sampler knows, from which on some are forgotten."""
_BEST: Final = 100
_OTHERS: Final = 200
_FORGETS: Final = frozenset({"tpe", "gp"})
"""Samplers that only read trials; the others keep a state of their own in them, or don't look at them."""


def is_full(protocol: Protocol, known: int) -> bool:
    """Whether a sampler that knows so many trials is to forget some."""
    return known >= MOST and protocol.sampler in _FORGETS


def remembered(history: Collection[Record], protocol: Protocol) -> list[Record]:
    """The trials that a sampler is told of.

    Args:
        history: explore records, in the order proposed.
        protocol: its sampler, seed, and whether score is traded against seconds.

    Returns:
        All of them, where they are few or the sampler has to know them all; else those that run, the best 100 and 200
        of the others, in the order proposed. The draw is the same for the same history.
    """
    if not is_full(protocol, len(history)):
        return list(history)
    running = [record for record in history if record.status == Status.RUNNING]
    told = sorted((record for record in history if _tells(record)), key=_place)
    if protocol.trade_off is not None:
        told = front_first(told, [(_score(record), record.seconds or 0.0) for record in told])
    others = told[_BEST:]
    drawn = random.Random(protocol.seed + len(history)).sample(others, min(_OTHERS, len(others)))
    kept = {record.trial for record in (*running, *told[:_BEST], *drawn)}
    return [record for record in history if record.trial in kept]


def _tells(record: Record) -> bool:
    """Whether a trial has ended, or paused, with something to learn from."""
    return record.scored or (record.status in (Status.PRUNED, Status.PAUSED) and bool(_finite(record)))


def _finite(record: Record) -> list[int]:
    """Alternations after which its objective was a number."""
    return [alternation for alternation, objective in record.curve.items() if math.isfinite(objective)]


def _place(record: Record) -> tuple[bool, int, float]:
    """The order in which TPE takes trials for the best: to the end by score, then stopped ones by how far they came."""
    return not record.scored, 0 if record.scored else -max(_finite(record)), -_score(record)


def _score(record: Record) -> float:
    return record.objective or 0.0 if record.scored else record.curve[max(_finite(record))]
