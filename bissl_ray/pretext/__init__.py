"""Self-supervised objectives of the lower level, one file each behind one protocol."""

from bissl_ray.pretext.base import PretextTask, Views
from bissl_ray.pretext.build import build_pretext, pretext_names
from bissl_ray.pretext.byol import BYOL
from bissl_ray.pretext.simclr import SimCLR, nt_xent

__all__ = ["BYOL", "PretextTask", "SimCLR", "Views", "build_pretext", "nt_xent", "pretext_names"]
