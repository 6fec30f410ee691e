"""What is out of range is refused by one line that names it, before any work is done."""

import math

import pytest
import torch

from bissl_ray.bilevel import BilevelHyperparameters, LowerHessian, SolverSettings, hypergradient, solve
from tests.bilevel.quadratic import hessian_of, pieces, rhs, symmetric
from tests.bilevel.small_problem import SmallProblem

MATRIX = symmetric(range(1, 9))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"damping": math.nan}, "damping is nan: expected 0 or more"),
        ({"damping": math.inf}, "damping is inf: expected 0 or more"),
        ({"damping": -1e-9}, "damping is -1e-09"),
        ({"tolerance": -0.1}, r"tolerance is -0\.1: expected 0 \(never\) or more and less than 1"),
        ({"tolerance": math.nan}, "tolerance is nan"),
        ({"proximity": math.nan}, "proximity is nan: expected 0 or more"),
        ({"proximity": [0.1, 0.2, math.inf]}, r"proximity\[2\] is inf"),
        ({"proximity": []}, "proximity has 0 weights: expected one number, or 3"),
        ({"proximity": [0.1] * 4}, "proximity has 4 weights: expected one number, or 3"),
        ({"iterations": 2.5}, r"iterations is 2\.5: expected a whole number"),
        ({"v": pieces(rhs().float())}, r"v\[0\] is torch.float32 on cpu: expected torch.float64 on cpu"),
        ({"v": pieces(rhs())[:2]}, "v has 2 tensors: expected 3"),
        ({"v": [part.flatten() for part in pieces(rhs())]}, r"v\[1\] has shape \(4,\): expected \(2, 2\)"),
    ],
)
def test_solve_names_what_is_wrong_and_computes_no_product(arguments, named):
    H = hessian_of(MATRIX)
    with pytest.raises(ValueError, match=named):
        solve(H, **{"v": pieces(rhs()), "proximity": 0.5, "damping": 0.5, **arguments})
    assert H.products == 0


@pytest.mark.parametrize(
    ("direct", "named"),
    [
        (pieces(rhs())[:1], "direct has 1 tensors: expected 3"),
        ([torch.ones(1, dtype=torch.float64)] * 3, r"direct\[0\] has shape \(1,\): expected \(3,\)"),
    ],
)
def test_a_direct_gradient_of_another_shape_is_not_broadcast(direct, named):
    H = hessian_of(MATRIX)
    with pytest.raises(ValueError, match=named):
        hypergradient(H, pieces(rhs()), direct, SolverSettings(0.5, 0.5))
    assert H.products == 0


def test_a_loss_without_graph_or_of_other_parameters_is_named():
    used, unused = torch.ones(2, requires_grad=True), torch.ones(3, 1, requires_grad=True)
    with pytest.raises(ValueError, match="loss has no graph: compute it with gradients enabled"), torch.no_grad():
        LowerHessian((used**2).sum(), [used])
    with pytest.raises(ValueError, match=r"loss does not use parameter 1 of shape \(3, 1\)"):
        LowerHessian((used**2).sum(), [used, unused])
    with pytest.raises(ValueError, match="at least one parameter"):
        LowerHessian((used**2).sum(), [])
    with pytest.raises(ValueError, match="all of one dtype"):
        LowerHessian((used**2).sum() + unused.sum().double(), [used, unused.detach().double().requires_grad_()])


@pytest.mark.parametrize(
    ("numbers", "named"),
    [
        ({"lower_lr": -1.0}, r"lower_lr is -1\.0: expected 0 or more"),
        ({"upper_lr": math.nan}, "upper_lr is nan"),
        ({"upper_weight_decay": -0.1}, r"upper_weight_decay is -0\.1"),
        ({"direct_weight": math.inf}, "direct_weight is inf"),
        ({"upper_momentum": 1.0}, r"upper_momentum is 1\.0: expected 0 or more and less than 1"),
        ({"lower_warmup": -1}, "lower_warmup is -1"),
        ({"recycled_products": -1}, "recycled_products is -1"),
        ({"upper_steps": 0}, "upper_steps is 0: expected at least 1"),
        ({"clip_norm": 0.0}, r"clip_norm is 0\.0: expected more than 0, or None"),
    ],
)
def test_hyperparameters_out_of_range_are_named(numbers, named):
    with pytest.raises(ValueError, match=named):
        BilevelHyperparameters(**numbers)


@pytest.mark.parametrize(
    ("numbers", "named"),
    [
        ({"damping": -1.0}, r"damping is -1\.0"),
        ({"proximity_weight": math.nan}, "proximity is nan"),
        ({"proximity_weight": (0.1, 0.1, 0.1, -0.1, 0.1, 0.1)}, r"proximity\[3\] is -0\.1"),
        ({"cg_tolerance": 1.0}, r"tolerance is 1\.0"),
        ({"cg_iterations": -1}, "iterations is -1"),
        ({"solver": "cgg"}, "unknown method 'cgg'.*did you mean 'cg'"),
    ],
)
def test_a_trainer_that_could_not_solve_is_not_built(numbers, named):
    with pytest.raises(ValueError, match=named):
        SmallProblem(**numbers)
