"""Stratified, seeded splits and the fingerprint that identifies them."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bissl_ray.data.sampling import permutation

Indices = NDArray[np.int64]


def stratified_split(labels: Sequence[int], held_out: int, seed: int, purpose: str) -> tuple[Indices, Indices]:
    """Hold out some images, each class in proportion to its size.

    Shares are rounded by largest remainder, so that they add up; no class is emptied, even if
    fewer than `held_out` images are then held out.

    Args:
        labels: class of each image.
        held_out: how many images to hold out.
        seed: which of the possible splits.
        purpose: name of the split, so that two splits under one seed are independent.

    Returns:
        Indices kept and indices held out, each ascending.
    """
    label_array = np.asarray(labels, dtype=np.int64)
    counts = np.unique(label_array, return_counts=True)[1]
    quotas, remainders = np.divmod(counts * held_out, len(label_array))
    quotas[np.argsort(-remainders, kind="stable")[: held_out - int(quotas.sum())]] += 1
    quotas = np.minimum(quotas, counts - 1)

    order = permutation(len(label_array), seed, purpose)
    # By class, shuffled within each.
    by_class = order[np.argsort(label_array[order], kind="stable")]
    starts = np.cumsum(counts) - counts
    is_held = np.zeros(len(label_array), dtype=bool)
    for start, quota in zip(starts, quotas, strict=True):
        is_held[by_class[start : start + quota]] = True
    return np.flatnonzero(~is_held), np.flatnonzero(is_held)


def fingerprint(name: str, contents: Iterable[bytes], splits: Mapping[str, Indices]) -> str:
    """Identify data and splits by one SHA-256, in hexadecimal.

    Args:
        name: the dataset.
        contents: bytes that change when files or labels do, such as annotation files; not every image.
        splits: indices of each split, by its name.
    """
    digest = hashlib.sha256(name.encode())
    for content in contents:
        digest.update(len(content).to_bytes(8, "little"))
        digest.update(content)
    for split, indices in sorted(splits.items()):
        digest.update(f"{split}:{len(indices)}".encode())
        digest.update(indices.astype("<i8").tobytes())
    return digest.hexdigest()
