"""Features of a whole split under a frozen backbone, each image's taken once."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bissl_ray.downstream import LabelledImages, LinearTask, in_mode
from bissl_ray.parallel import Group, all_reduce_sum, gather_rows
from bissl_ray.training.worker import in_step


@dataclass(frozen=True)
class Features:
    """One worker's share of the features of a split; shares may be uneven or empty.

    Attributes:
        rows: (n, feature_dim).
        labels: int64 (n, *task.label_shape).
    """

    rows: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def gathered(self, group: Group = None) -> "Features":
        """All workers' shares in order of rank: the split in its order, the same on every worker (collective)."""
        return Features(gather_rows(self.rows, group), gather_rows(self.labels, group))


def extract_features(
    backbone: nn.Module, task: LinearTask, batches: Iterable[LabelledImages], group: Group = None
) -> Features:
    """Take the features of this worker's share of a split, in evaluation mode and without gradient (collective).

    Args:
        backbone: maps images (n, 3, H, W) to features (n, feature_dim); its parts' modes are put back afterwards.
        task: says what labels are like; features get its head's type and device. Its weights are not used.
        batches: this worker's share, in the order of the split, on the task's device; may be empty.
        group: the workers that share the split.

    Raises:
        FloatingPointError: a feature of some worker's is not finite; alike on every worker.
    """
    like = task.head.weight
    rows = [like.new_zeros(0, task.head.in_features)]
    labels = [torch.zeros(0, *task.label_shape, dtype=torch.int64, device=like.device)]
    with torch.no_grad(), in_mode(False, backbone):
        for images, own in batches:
            rows.append(backbone(images).to(like.dtype))
            labels.append(own)
        share = Features(torch.cat(rows), torch.cat(labels))
        broken = int(all_reduce_sum((~share.rows.isfinite()).any(dim=1).sum(), group))
    if broken:
        raise in_step(
            FloatingPointError(
                f"the features of {broken} images are not finite: the backbone has diverged or is damaged"
            )
        )
    return share
