"""Supervised objectives of the upper level, and exact metrics over a split."""

from bissl_ray.downstream.base import DownstreamTask, LabelledImages, Tally, evaluate, evaluation_mode
from bissl_ray.downstream.build import build_downstream, downstream_names
from bissl_ray.downstream.classification import ClassificationTask
from bissl_ray.downstream.multi_label import MultiLabelTask

__all__ = [
    "ClassificationTask",
    "DownstreamTask",
    "LabelledImages",
    "MultiLabelTask",
    "Tally",
    "build_downstream",
    "downstream_names",
    "evaluate",
    "evaluation_mode",
]
