"""Which of several networks of one checkpoint is the backbone: the one that its code evaluates."""

import re
from collections.abc import Collection, Sequence
from typing import Final


class SeveralTrunksError(Exception):
    """A file holds several networks, and does not say which is the backbone.

    Attributes:
        prefixes: how names begin in each.
    """

    def __init__(self, prefixes: Sequence[str]) -> None:
        super().__init__(f"it holds {len(prefixes)} networks, {', '.join(map(_shown, prefixes))}")
        self.prefixes = prefixes


_AVERAGE: Final = re.compile(r"(?:^|[._])(?:ema|swa|averaged?|avg|polyak|shadow)(?:[._]|$)")
_TEACHER: Final = re.compile(r"(?:^|[._])teacher(?:[._]|$)")
_FOLLOWS: Final = re.compile(r"(?:^|[._])(?:momentum|target|encoder_k|key|k|m|ema_encoder|old|prev|previous)(?:[._]|$)")
_ONLINE: Final = re.compile(r"(?:^|[._])(?:online|query|encoder_q|base_encoder|student)(?:[._]|$)")


def chosen_trunk(prefixes: Sequence[str]) -> tuple[str, str]:
    """Choose among the backbones that a file holds.

    Of a teacher and a student, the teacher (DINO evaluates it); of a network and an average of it over training, the
    average; of a network and one that follows it with momentum for the loss alone (MoCo, BYOL), the network. Of I-JEPA,
    which has encoder, predictor and target_encoder, the target encoder.

    Args:
        prefixes: how names begin in each.

    Returns:
        The prefix, and which it is, in words; "" where there is only one.

    Raises:
        SeveralTrunksError: there are several of a kind.
    """
    if len(prefixes) == 1:
        return prefixes[0], ""
    ranks = {prefix: _rank(prefix, prefixes) for prefix in prefixes}
    best = [prefix for prefix in prefixes if ranks[prefix] == min(ranks.values())]
    others = ", ".join(_shown(prefix) for prefix in prefixes if prefix != best[0])
    if len(best) > 1:
        raise SeveralTrunksError(best)
    return best[0], f"of several networks in the file {_shown(best[0])} was taken, and not {others}"


def soonest(prefixes: Collection[str]) -> str:
    """The prefix that would be taken first; of such as lie in one another the innermost."""
    return min(sorted(prefixes), key=lambda prefix: (_rank(prefix, prefixes), -len(prefix)))


def _shown(prefix: str) -> str:
    return f"{prefix}*" if prefix else "the one without a prefix"


def _rank(prefix: str, prefixes: Collection[str]) -> int:
    """The lower, the sooner it is taken."""
    if _TEACHER.search(prefix):
        return 0
    if prefix.startswith("target_encoder.") and any(other.startswith("encoder.") for other in prefixes):
        return 0
    if _FOLLOWS.search(prefix):
        return 4
    if _AVERAGE.search(prefix):
        return 1
    return 2 if _ONLINE.search(prefix) else 3
