"""Unrolled steps: finite differences of really taking them, the closed form, and the case of one step."""

import pytest
import torch

from bissl_ray.bilevel import KnownProducts, LowerHessian, solve
from tests.bilevel.quadratic import ENTRIES, entries_of, hessian_of, pieces, rhs, symmetric, whole
from tests.bilevel.test_whole_map import (
    ANCHOR,
    PROXIMITY,
    WEIGHTS,
    downstream,
    gradient,
    lower_solution,
    pretext,
    randn,
    relative_error,
    shaped,
)

MATRIX = symmetric(torch.linspace(0.1, 5, ENTRIES).tolist())
LAMBDA = [0.3, 2.0, 0.5]


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_it_is_the_derivative_of_really_taking_the_steps_from_where_the_lower_level_has_arrived(steps):
    """A contrastive loss of a network with batch norm, a weight per tensor, finite differences in float64."""
    theta = lower_solution(ANCHOR, ANCHOR)
    parts = [part.clone().requires_grad_() for part in shaped(theta)]
    H = LowerHessian(pretext(torch.cat([part.reshape(-1) for part in parts])), parts)
    found = solve(H, shaped(gradient(downstream, theta)), PROXIMITY, 0.0, "unrolled", steps)
    x, rate = torch.cat([part.reshape(-1) for part in found.x]), found.report.step_length

    def after_steps(anchor):
        point = theta
        for _ in range(steps):
            point = point - rate * (gradient(pretext, point) + WEIGHTS * (point - anchor))
        return downstream(point)

    directions = randn(3, len(theta), seed=11)

    def differences(step):
        ends = [after_steps(ANCHOR + side * step * d) for d in directions for side in (1, -1)]
        return torch.stack(ends).view(-1, 2) @ torch.tensor([1.0, -1.0]).double() / (2 * step)

    coarse, fine = differences(2e-3), differences(1e-3)
    assert relative_error((4 * fine - coarse) / 3, directions @ x) < 1e-7
    # And the gradient through more of them is another.
    more = solve(H, shaped(gradient(downstream, theta)), PROXIMITY, 0.0, "unrolled", steps + 3)
    assert relative_error(torch.cat([part.reshape(-1) for part in more.x]), x) > 0.05


@pytest.mark.parametrize("eigenvalues", [torch.linspace(0.1, 5, ENTRIES).tolist(), [-4.0, *range(1, ENTRIES)]])
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_it_is_the_sum_in_closed_form_and_takes_a_product_fewer_than_steps(steps, eigenvalues):
    H, M, I = symmetric(eigenvalues), entries_of(LAMBDA) + 0.1, torch.eye(ENTRIES, dtype=torch.float64)  # noqa: E741
    A, operator, known = H + torch.diag(M), hessian_of(H), KnownProducts(4)
    for seed, products in ((1, 3 + max(0, steps - 2)), (2, steps - 1)):
        found = solve(operator, pieces(rhs(seed)), LAMBDA, 0.1, "unrolled", steps, known=known)
        rate = found.report.step_length
        assert 0.3 < rate * float(torch.linalg.matrix_norm(A, 2)) <= 1.0
        series = sum(torch.linalg.matrix_power(I - rate * A, k) for k in range(steps))
        torch.testing.assert_close(whole(found.x), M * (rate * series @ rhs(seed)), rtol=1e-10, atol=1e-10)
        assert found.report.products == products
    assert operator.products == 3 + max(0, steps - 2) + steps - 1
    assert (found.report.residual is None) == (steps == 1)


def test_many_steps_reach_the_solution_and_the_residual_reported_is_no_less_than_the_true_one():
    M = entries_of(LAMBDA) + 0.1
    A = MATRIX + torch.diag(M)
    for steps in (3, 400):
        found = solve(hessian_of(MATRIX), pieces(rhs()), LAMBDA, 0.1, "unrolled", steps)
        assert found.report.estimated
        assert float((rhs() - A @ found.inverse).norm() / rhs().norm()) <= found.report.residual + 1e-14
    torch.testing.assert_close(found.inverse, torch.linalg.solve(A, rhs()), rtol=1e-8, atol=1e-8)


def test_numbers_that_are_none_end_it():
    found = solve(hessian_of(MATRIX * float("inf")), pieces(rhs()), 0.5, 0.5, "unrolled", 3)
    assert found.report.stopped_because == "non_finite"
    assert whole(found.x).eq(0).all()
