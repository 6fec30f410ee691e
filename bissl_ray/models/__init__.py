"""Backbones, and checkpoints in and out."""

from bissl_ray.models.backbones import backbone_names, build_backbone
from bissl_ray.models.base import Backbone, StagedBackbone
from bissl_ray.models.checkpoints import Checkpoint, checkpoint_content, load_checkpoint
from bissl_ray.models.checks import check_twice_differentiable
from bissl_ray.models.load_report import LoadReport
from bissl_ray.models.matching import architecture_of, load_backbone

__all__ = [
    "Backbone",
    "Checkpoint",
    "LoadReport",
    "StagedBackbone",
    "architecture_of",
    "backbone_names",
    "build_backbone",
    "check_twice_differentiable",
    "checkpoint_content",
    "load_backbone",
    "load_checkpoint",
]
