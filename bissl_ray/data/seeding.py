"""Random numbers that depend on their purpose alone, never on what was drawn before."""

import hashlib

import numpy as np
from numpy.typing import NDArray


def derived_seed(*purpose: int | str) -> int:
    """Hash a purpose, such as (seed, "pretext", epoch, index), to a seed of 64 bits."""
    return int.from_bytes(hashlib.blake2b(repr(purpose).encode(), digest_size=8).digest(), "little")


def permutation(count: int, *purpose: int | str) -> NDArray[np.int64]:
    """Shuffle 0 .. count - 1 as the purpose says.

    Uses numpy's `RandomState`, whose numbers are frozen for good (NEP 19): a split that is drawn
    again under another numpy must be the same split.
    """
    seed = derived_seed(*purpose)
    shuffled = np.random.RandomState([seed & 0xFFFFFFFF, seed >> 32]).permutation(count)
    return shuffled.astype(np.int64, copy=False)
