"""Running statistics of batch normalisation, taken afresh before a model is scored or saved.

Running averages follow training with a lag of some ten steps. An upper stage has eight, so that scores would be
those of a model that is half an older one.
"""

from collections.abc import Iterator
from itertools import islice

from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from bissl_ray.parallel import mean_over_workers

MOST_BATCHES = 16


def reestimate_statistics(backbone: nn.Module, batches: Iterator[tuple[Tensor, Tensor]], count: int) -> None:
    """Replace a backbone's running statistics by the plain average over some batches (collective).

    With statistics per worker, the workers' are averaged, so that all score and save the same model.

    Args:
        backbone: left in the mode that it was in.
        batches: their first element is images (n, 3, H, W).
        count: how many to take.
    """
    training = backbone.training
    update_bn(islice(batches, count), backbone)
    backbone.train(training)
    average_statistics(backbone)


def average_statistics(backbone: nn.Module) -> None:
    """Make all workers' running statistics alike, by their mean: statistics per worker differ (collective)."""
    running = [buffer for buffer in backbone.buffers() if buffer.is_floating_point()]
    for buffer, mean in zip(running, mean_over_workers(running), strict=True):
        buffer.copy_(mean)
