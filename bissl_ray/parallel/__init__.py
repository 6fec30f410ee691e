"""What several workers need to behave as one: differentiable collectives and batch normalisation."""

from bissl_ray.parallel.batch_norm import (
    BatchNormMode,
    PerWorkerBatchNorm1d,
    PerWorkerBatchNorm2d,
    SynchronisedBatchNorm1d,
    SynchronisedBatchNorm2d,
    convert_batch_norm,
    frozen_statistics,
)
from bissl_ray.parallel.collectives import (
    Group,
    all_gather,
    all_reduce_sum,
    copy_from_first_worker,
    differentiable_upstream_only,
    gather_rows,
    mean_over_workers,
    rank,
    upstream_only,
    world_size,
)

__all__ = [
    "BatchNormMode",
    "Group",
    "PerWorkerBatchNorm1d",
    "PerWorkerBatchNorm2d",
    "SynchronisedBatchNorm1d",
    "SynchronisedBatchNorm2d",
    "all_gather",
    "all_reduce_sum",
    "convert_batch_norm",
    "copy_from_first_worker",
    "differentiable_upstream_only",
    "frozen_statistics",
    "gather_rows",
    "mean_over_workers",
    "rank",
    "upstream_only",
    "world_size",
]
