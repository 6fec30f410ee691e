"""Self-supervised objectives of the lower level, one file each behind one protocol."""

from bissl_ray.pretext.barlow_twins import BarlowTwins, cross_correlation
from bissl_ray.pretext.base import PretextTask, Views
from bissl_ray.pretext.build import build_pretext, pretext_names, pretext_task
from bissl_ray.pretext.byol import BYOL
from bissl_ray.pretext.heads import on_sphere
from bissl_ray.pretext.simclr import SimCLR, nt_xent
from bissl_ray.pretext.simsiam import SimSiam
from bissl_ray.pretext.vicreg import VICReg, statistics

__all__ = [
    "BYOL",
    "BarlowTwins",
    "PretextTask",
    "SimCLR",
    "SimSiam",
    "VICReg",
    "Views",
    "build_pretext",
    "cross_correlation",
    "nt_xent",
    "on_sphere",
    "pretext_names",
    "pretext_task",
    "statistics",
]
