"""The mathematics of BiSSL: Hessian, linear solvers, hypergradient, alternation.

It stands on torch, collectives (`parallel`), optimizers (`optim`) and the settings, and knows neither data nor models.
"""

from bissl_ray.bilevel.alternation_report import AlternationReport
from bissl_ray.bilevel.curvature.differences import DifferencedCurvature, DisplacedLoss
from bissl_ray.bilevel.curvature.graphs import CurvatureGraph, GradientGraph, OutputGraph
from bissl_ray.bilevel.curvature.matrices import GaussNewton, LowerHessian, RecomputedHessian
from bissl_ray.bilevel.curvature.operator import CurvatureOperator, KeptCurvature, RecomputedCurvature
from bissl_ray.bilevel.hypergradient import Hypergradient, hypergradient
from bissl_ray.bilevel.level import Level
from bissl_ray.bilevel.measurements import DivergedError
from bissl_ray.bilevel.solve import Solution, solve
from bissl_ray.bilevel.solvers import KnownProducts, SolveReport, StopReason
from bissl_ray.bilevel.trainer import BilevelTrainer

__all__ = [
    "AlternationReport",
    "BilevelTrainer",
    "CurvatureGraph",
    "CurvatureOperator",
    "DifferencedCurvature",
    "DisplacedLoss",
    "DivergedError",
    "GaussNewton",
    "GradientGraph",
    "Hypergradient",
    "KeptCurvature",
    "KnownProducts",
    "Level",
    "LowerHessian",
    "OutputGraph",
    "RecomputedCurvature",
    "RecomputedHessian",
    "Solution",
    "SolveReport",
    "StopReason",
    "hypergradient",
    "solve",
]
