"""Batches are tensors in a nest of tuples, lists and dictionaries: made of samples, and changed tensor by tensor."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def stacked(samples: Sequence[Any]) -> Any:
    """A batch of samples of one shape: tensors stacked, the members of tuples and dictionaries each by themselves."""
    first = samples[0]
    if isinstance(first, tuple):
        return tuple(stacked(member) for member in zip(*samples, strict=True))
    if isinstance(first, dict):
        return {key: stacked([sample[key] for sample in samples]) for key in first}
    return torch.stack(list(samples))


def each_tensor(batch: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same nest of tuples, lists and dictionaries with its tensors changed; what else is in it stays."""
    if isinstance(batch, Tensor):
        return change(batch)
    if isinstance(batch, dict):
        return {key: each_tensor(value, change) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(each_tensor(member, change) for member in batch))
    if isinstance(batch, list | tuple):
        return type(batch)(each_tensor(member, change) for member in batch)
    return batch
