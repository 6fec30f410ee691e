"""Datasets: a registry, one reader per dataset, splits, transforms, and resumable loaders.

The registry costs next to nothing to import. What needs torch is imported when its name is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from bissl_ray.config.data_choice import DataChoice
from bissl_ray.data.datasets.registry import dataset_names, get_dataset
from bissl_ray.data.opening import open_data
from bissl_ray.data.spec import DatasetSpec, DatasetSplits, Images, Labelled, SplitChoice, Target

if TYPE_CHECKING:
    from bissl_ray.data.loaders import (
        EndlessBatches,
        EvaluationBatches,
        OfPair,
        Samples,
        endless_batches,
        evaluation_batches,
    )
    from bissl_ray.data.sampling import Share, Stream, steps_per_epoch
    from bissl_ray.data.transforms import evaluation_transform, pretext_transform, train_transform

_LAZY = {
    "EndlessBatches": "loaders",
    "EvaluationBatches": "loaders",
    "OfPair": "loaders",
    "Samples": "loaders",
    "Share": "sampling",
    "Stream": "sampling",
    "endless_batches": "loaders",
    "evaluation_batches": "loaders",
    "evaluation_transform": "transforms",
    "pretext_transform": "transforms",
    "steps_per_epoch": "sampling",
    "train_transform": "transforms",
}

__all__ = [
    "DataChoice",
    "DatasetSpec",
    "DatasetSplits",
    "EndlessBatches",
    "EvaluationBatches",
    "Images",
    "Labelled",
    "OfPair",
    "Samples",
    "Share",
    "SplitChoice",
    "Stream",
    "Target",
    "dataset_names",
    "endless_batches",
    "evaluation_batches",
    "evaluation_transform",
    "get_dataset",
    "open_data",
    "pretext_transform",
    "steps_per_epoch",
    "train_transform",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
