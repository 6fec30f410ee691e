"""Backbones, and checkpoints in and out."""

from bissl_ray.models.backbones import backbone_names, build_backbone
from bissl_ray.models.base import Backbone
from bissl_ray.models.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from bissl_ray.models.matching import architecture_of, load_backbone

__all__ = [
    "Backbone",
    "Checkpoint",
    "architecture_of",
    "backbone_names",
    "build_backbone",
    "load_backbone",
    "load_checkpoint",
    "save_checkpoint",
]
