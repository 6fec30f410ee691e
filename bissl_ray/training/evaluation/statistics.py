"""Running statistics of batch normalisation, taken afresh before a model is scored or saved.

Running averages follow training with a lag of some ten steps. An alternation has eight upper ones, so that scores
would be those of a model that is half an older one.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from bissl_ray.downstream import in_mode
from bissl_ray.parallel import mean_over_workers

MOST_BATCHES: Final = 16


@torch.no_grad()
def reestimate_statistics(
    modules: Sequence[nn.Module], forward: Callable[[Any], object], batches: Iterator[Any], count: int
) -> None:
    """Replace modules' running statistics by the plain average over some batches (collective).

    With statistics per worker, the workers' are averaged, so that all score and save the same model.

    Args:
        modules: a backbone, and what goes with it; each left in the mode that it was in.
        forward: takes a batch through them.
        batches: to take from.
        count: how many to take.
    """
    norms = norms_of(*modules)
    momenta = [norm.momentum for norm in norms]
    if not norms:
        return
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
        with in_mode(True, *modules):
            for batch in islice(batches, count):
                forward(batch)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
    average_statistics(*modules)


def norms_of(*modules: nn.Module) -> list[_BatchNorm]:
    """Every batch normalisation of some modules: what has running statistics."""
    return [part for module in modules for part in module.modules() if isinstance(part, _BatchNorm)]


def average_statistics(*modules: nn.Module) -> None:
    """Make all workers' running statistics alike, by their mean: statistics per worker differ (collective)."""
    running = [buffer for module in modules for buffer in module.buffers() if buffer.is_floating_point()]
    for buffer, mean in zip(running, mean_over_workers(running), strict=True):
        buffer.copy_(mean)
