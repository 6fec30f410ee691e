"""What is out of range is refused by one line that names it, before any work is done."""

import math
import re

import pytest
import torch

from bissl_ray.bilevel import LowerHessian, hypergradient, solve
from bissl_ray.config.settings import BilevelSettings, SolverSettings
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
        hypergradient(H, pieces(rhs()), direct, SolverSettings(damping=0.5), 0.5)
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
    ("numbers", "expected"),
    [
        ({"lower_lr": -1.0}, "greater than or equal to 0"),
        ({"upper_lr": math.nan}, "a finite number"),
        ({"upper_weight_decay": -0.1}, "greater than or equal to 0"),
        ({"direct_weight": math.inf}, "a finite number"),
        ({"upper_momentum": 1.0}, "less than 1"),
        ({"upper_momentum": -0.1}, "greater than or equal to 0"),
        ({"lower_warmup": -1}, "greater than or equal to 0"),
        ({"recycled_products": -1}, "greater than or equal to 0"),
        ({"upper_steps": 0}, "greater than or equal to 1"),
        ({"clip_norm": 0.0}, "greater than 0"),
        ({"damping": -1.0}, "greater than or equal to 0"),
        ({"cg_tolerance": 1.0}, "less than 1"),
        ({"cg_iterations": -1}, "greater than or equal to 0"),
        ({"solver": "cgg"}, "found 'cgg', expected 'cg', .* or 'identity'; did you mean 'cg'"),
    ],
)
def test_settings_out_of_range_are_named(numbers, expected):
    ((name, value),) = numbers.items()
    with pytest.raises(ValueError, match=rf"(?s){name}\n.*{expected}.*input_value={re.escape(repr(value))}"):
        BilevelSettings(**numbers)


@pytest.mark.parametrize(
    ("numbers", "named"),
    [
        ({"proximity": math.nan}, "proximity is nan"),
        ({"proximity": (0.1, 0.1, 0.1, -0.1, 0.1, 0.1)}, r"proximity\[3\] is -0\.1"),
        ({"proximity": (0.1, 0.1, 0.0, 0.1, 0.1, 0.1), "damping": 0.0}, r"proximity\[2\] \+ damping is 0"),
        ({"proximity": 0.0, "damping": 0.0}, r"proximity \+ damping is 0"),
        ({"unchecked": {"damping": -1.0}}, r"damping is -1\.0"),
        ({"unchecked": {"cg_tolerance": 1.0}}, r"tolerance is 1\.0"),
        ({"unchecked": {"cg_iterations": -1}}, "iterations is -1"),
        ({"unchecked": {"solver": "cgg"}}, "unknown method 'cgg'.*did you mean 'cg'"),
    ],
)
def test_a_trainer_that_could_not_solve_is_not_built(numbers, named):
    with pytest.raises(ValueError, match=named):
        SmallProblem(**numbers)
