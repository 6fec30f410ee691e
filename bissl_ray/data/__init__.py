"""Datasets: a registry, one reader per dataset, splits, transforms, and resumable loaders.

The registry costs next to nothing to import. What needs torch (`loaders`, `transforms`) is imported by itself.
"""

from bissl_ray.config.data_choice import DataChoice
from bissl_ray.data.datasets.registry import dataset_names, get_dataset
from bissl_ray.data.opening import open_data
from bissl_ray.data.spec import DatasetSpec, DatasetSplits, Images, Labelled, SplitChoice, Target

__all__ = [
    "DataChoice",
    "DatasetSpec",
    "DatasetSplits",
    "Images",
    "Labelled",
    "SplitChoice",
    "Target",
    "dataset_names",
    "get_dataset",
    "open_data",
]
