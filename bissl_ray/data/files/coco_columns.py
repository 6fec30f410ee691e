"""Columns of a million entries as JSON has them: at once where they are as they should be, else one by one."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def are_numbers(values: Any) -> bool:
    """Whether it is a list of numbers, of which a truth value is none."""
    return isinstance(values, list) and all(type(value) in (int, float) for value in values)


def places_of(keys: Sequence[object], known: Mapping[object, int], unknown: int) -> NDArray[np.int64]:
    """What is known of each key; `unknown` where nothing is, and of a truth value, which Python takes for 0 or 1."""
    try:
        found = [unknown if key is True or key is False else known.get(key, unknown) for key in keys]
    except TypeError:  # a list or an object in place of an id
        found = [known.get(key, unknown) if type(key) in (int, float, str) else unknown for key in keys]
    return np.array(found, np.int64)


def boxes_in(values: Sequence[object]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Boxes as float64 (n, 4), and whether each was four numbers; those that weren't are 0."""
    try:
        together = np.array(values)
    except (ValueError, OverflowError):  # of several lengths
        together = np.empty(0)
    if together.shape == (len(values), 4) and together.dtype.kind in "iuf":
        return together.astype(np.float64), np.ones(len(values), np.bool_)
    formed = [are_numbers(value) and len(value) == 4 for value in values]  # type: ignore[arg-type]
    rows = [[_number(part) for part in value] if fit else [0.0] * 4 for value, fit in zip(values, formed, strict=True)]  # type: ignore[attr-defined]
    return np.array(rows, np.float64).reshape(-1, 4), np.array(formed, np.bool_)


def numbers_in(values: Sequence[object]) -> NDArray[np.float64]:
    """Numbers as float64, NaN for what is none."""
    together = np.array(values) if not any(isinstance(value, list | dict) for value in values) else np.empty(0)
    if together.shape == (len(values),) and together.dtype.kind in "iuf":
        return together.astype(np.float64)
    return np.array([_number(value) if type(value) in (int, float) else np.nan for value in values], np.float64)


def _number(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return np.inf
