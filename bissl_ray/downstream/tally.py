"""What figures over a split are taken with: each worker adds what it saw, and all get the same figures."""

from abc import ABC, abstractmethod

from torch import Tensor

from bissl_ray.errors import BadInputError
from bissl_ray.parallel import Group


class Tally(ABC):
    """Takes in scores batch by batch and sums up once, over all workers."""

    @abstractmethod
    def add(self, scores: Tensor, labels: Tensor) -> None:
        """Take in a batch.

        Args:
            scores: (n, classes), the higher the likelier.
            labels: integers (n, *label_shape) of the task.
        """

    @abstractmethod
    def figures(self, group: Group = None) -> dict[str, float]:
        """The figures over what all workers took in, each in [0, 1], the same on every worker (collective).

        Shares may be uneven or empty. Where shares are cut in the order of the split, as `evaluation_batches` cuts
        them, nothing depends on how many workers there are.

        Raises:
            BadInputError: no worker took in any image, or the figures have no meaning on these; alike on every worker.
        """


def refuse_no_images() -> BadInputError:
    """The error for a split without images."""
    return BadInputError("no images to evaluate on any worker; expected at least one: check the split")
