"""Whether the workers can share what the stages' settings ask for; found out before anything starts."""

from collections.abc import Collection, Mapping, Sequence
from itertools import product
from typing import Any, Final

from bissl_ray.errors import BadInputError
from bissl_ray.training.order import batches_of

CURVATURE: Final = ("lower_batch", "curvature_batch", "curvature_chunks")
"""The settings that say which images the curvature is taken on, in how many parts."""


def check_shares(
    possible: Mapping[str, Sequence[Any]], stages: Collection[str], workers: int, flag: str = "--workers-per-trial"
) -> None:
    """Refuse batches, and parts of the curvature batch, that the workers couldn't share equally.

    Args:
        possible: the values that each setting may take, of all that `batches_of(stages)` and `CURVATURE` name.
        stages: that will run.
        workers: that share them.
        flag: what asked for so many, for error lines.

    Raises:
        BadInputError: names the setting and what would fit.
    """
    sharers = "one worker" if workers == 1 else f"{workers} workers"
    for name in batches_of(stages):
        for batch in possible[name]:
            if batch % workers:
                raise BadInputError(
                    f"{name} is {batch}{_in_some_trials(possible, name)}, which {sharers} can't share equally: make it "
                    f"a multiple of {workers}, or change {flag}"
                )
    if "bissl" not in stages:
        return
    for lower_batch, curvature_batch, chunks in product(*(possible[name] for name in CURVATURE)):
        images = lower_batch if curvature_batch is None else curvature_batch
        if images % (workers * chunks):
            share = "share equally" if chunks == 1 else f"cut into {chunks} equal parts{' each' if workers > 1 else ''}"
            raise BadInputError(
                f"the curvature is taken on {images} images{_in_some_trials(possible, *CURVATURE)}, which {sharers} "
                f"can't {share}: make curvature_batch a multiple of {workers * chunks}, or change curvature_chunks or "
                f"{flag}"
            )


def _in_some_trials(possible: Mapping[str, Sequence[Any]], *names: str) -> str:
    """What to add where the value is one of several that the search may take."""
    several = [name for name in names if len(possible[name]) > 1]
    return f" in some trials (list the values of {' and '.join(several)} that fit, as categorical)" if several else ""
