"""The mathematics of BiSSL: Hessian, linear solvers, hypergradient, alternation. Imports torch only."""

from bissl_ray.bilevel.alternation_report import AlternationReport
from bissl_ray.bilevel.curvature.gauss_newton import GaussNewton
from bissl_ray.bilevel.curvature.graphs import CurvatureGraph, GradientGraph, OutputGraph
from bissl_ray.bilevel.curvature.hessian import LowerHessian, RecomputedHessian
from bissl_ray.bilevel.curvature.operator import CurvatureOperator
from bissl_ray.bilevel.curvature.operators import KeptCurvature, RecomputedCurvature
from bissl_ray.bilevel.hypergradient import Hypergradient, hypergradient
from bissl_ray.bilevel.hyperparameters import BilevelHyperparameters
from bissl_ray.bilevel.known_products import KnownProducts
from bissl_ray.bilevel.measurements import DivergedError
from bissl_ray.bilevel.report import SolveReport, StopReason
from bissl_ray.bilevel.solve import Solution, solve
from bissl_ray.bilevel.solver_settings import SolverSettings
from bissl_ray.bilevel.trainer import BilevelTrainer

__all__ = [
    "AlternationReport",
    "BilevelHyperparameters",
    "BilevelTrainer",
    "CurvatureGraph",
    "CurvatureOperator",
    "DivergedError",
    "GaussNewton",
    "GradientGraph",
    "Hypergradient",
    "KeptCurvature",
    "KnownProducts",
    "LowerHessian",
    "OutputGraph",
    "RecomputedCurvature",
    "RecomputedHessian",
    "Solution",
    "SolveReport",
    "SolverSettings",
    "StopReason",
    "hypergradient",
    "solve",
]
