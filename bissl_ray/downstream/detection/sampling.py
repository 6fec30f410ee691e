"""Which anchors and regions the loss is taken on: a random choice that is a function of (seed, step, image)."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler


class KeyedSampler(BalancedPositiveNegativeSampler):  # type: ignore[misc]
    """torchvision's choice of positives and negatives, each image's drawn by a key of its own.

    Drawn on the CPU whatever the device: the same choice everywhere, however images are shared out among workers, and
    torch's own generators are left alone.

    Args:
        batch_size_per_image: how many to choose at most.
        positive_fraction: largest share of positives among them.

    Attributes:
        keys: of the images of the next call, from 0 to 2^62.
    """

    def __init__(self, batch_size_per_image: int, positive_fraction: float) -> None:
        super().__init__(batch_size_per_image, positive_fraction)
        self.keys: Sequence[int] = ()

    def __call__(self, matched_idxs: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Choose among candidates.

        Args:
            matched_idxs: of each image (n,): at least 1: positive, 0: negative, -1: not to be chosen.

        Returns:
            For each image, which were chosen as positives, and which as negatives, each bool (n,).
        """
        chosen = [self._choose(labels, key) for labels, key in zip(matched_idxs, self.keys, strict=True)]
        return [positives for positives, _ in chosen], [negatives for _, negatives in chosen]

    def _choose(self, labels: Tensor, key: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(key)
        positive, negative = torch.where(labels >= 1)[0], torch.where(labels == 0)[0]
        most = min(int(self.batch_size_per_image * self.positive_fraction), len(positive))
        rest = min(self.batch_size_per_image - most, len(negative))
        return _some(labels, positive, most, generator), _some(labels, negative, rest, generator)


def _some(labels: Tensor, among: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Mark `count` of the places `among`."""
    marked = torch.zeros_like(labels, dtype=torch.bool)
    marked[among[torch.randperm(len(among), generator=generator)[:count].to(labels.device)]] = True
    return marked
