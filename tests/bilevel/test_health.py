"""What an alternation says of its health, and what it refuses to go on with."""

import math

import pytest
import torch

from bissl_ray.bilevel import DivergedError, KnownProducts, SolveReport, hypergradient
from bissl_ray.bilevel.alternation_report import summarise
from bissl_ray.config.settings import SolverSettings
from tests.bilevel.quadratic import ENTRIES, hessian_of, pieces, rhs, symmetric, whole
from tests.bilevel.small_problem import SmallProblem

EIGENVALUES = torch.linspace(0.5, 6.0, ENTRIES, dtype=torch.float64)


@pytest.mark.parametrize("method", ["cg", "identity"])
@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_ratio_and_change_are_those_of_dense_algebra(method, weight):
    H, v, at_upper = symmetric(EIGENVALUES), rhs(), weight * rhs(seed=6)
    solved = 1.5 * torch.linalg.solve(1.5 * torch.eye(ENTRIES).double() + H, v) if method == "cg" else v
    settings = SolverSettings(damping=1.0, solver=method, cg_iterations=3 * ENTRIES, cg_tolerance=0.0)
    found = hypergradient(hessian_of(H), pieces(v), pieces(at_upper), settings, 0.5, KnownProducts(4))
    torch.testing.assert_close(whole(found.total), solved + at_upper)
    expected = (solved - v).norm() / (v + at_upper).norm()
    torch.testing.assert_close(found.change, expected, rtol=1e-9, atol=1e-12)
    if weight:
        torch.testing.assert_close(found.ratio, solved.norm() / at_upper.norm())
    else:
        assert not math.isfinite(found.ratio)


def test_solves_are_summed_up_by_mean_and_maximum():
    reports = [
        SolveReport("iterations", 5, [1.0, 0.25], (2.0, 9.0)),
        SolveReport("negative_curvature", 1, [1.0, 1.5], (-3.0, 4.0), 2),
        SolveReport("zero_rhs", 0, [0.0]),
    ]
    summary = summarise(reports)
    assert (summary.cg_residual, summary.cg_residual_max) == (pytest.approx(1.75 / 3), 1.5)
    assert (summary.hvps, summary.negative_curvature, summary.stopped_because) == (6, 2, "negative_curvature")
    assert (summary.ritz_min, summary.ritz_max) == (-3.0, 9.0)


def test_an_alternation_reports_means_over_its_steps():
    report = SmallProblem().alternate()
    assert 0 < report.cg_residual < report.cg_residual_max < 1
    assert 0 < report.implicit_change < 1 and 0 < report.implicit_ratio < 10
    without = SmallProblem(cg_iterations=0, direct_weight=0.0).alternate()
    assert without.implicit_change == pytest.approx(0, abs=1e-12)
    assert (without.implicit_ratio, without.cg_residual_max) == (None, None)


def test_the_backbones_share_is_that_of_a_plain_step():
    problem = SmallProblem(upper_steps=1, upper_momentum=0.0, upper_weight_decay=0.0, clip_norm=None)

    def values():
        modules = (problem.upper, problem.downstream_head)
        return [torch.cat([p.detach().flatten() for p in module.parameters()]) for module in modules]

    before = values()
    report = problem.alternate()
    backbone, head = (float((now - then).square().sum()) for now, then in zip(values(), before, strict=True))
    assert report.upper_backbone_share == pytest.approx(backbone / (backbone + head), rel=1e-9)
    assert 0 < report.upper_backbone_share < 1


class _SteepCorner(SmallProblem):
    """Its lower loss has |x|^power at x = 0: an infinite second derivative below 2, a NaN gradient below 1."""

    def __init__(self, power, **numbers):
        super().__init__(lower_lr=0.0, **numbers)
        self.power = power
        torch.nn.init.zeros_(self.lower[3].bias)

    def lower_loss(self, x):
        return super().lower_loss(x) + self.lower[3].bias.abs().pow(self.power).sum()


class _BrokenUpper(SmallProblem):
    """Its upper loss is finite, but its gradient is not."""

    def upper_loss(self, backbone, batch):
        loss = super().upper_loss(backbone, batch)
        return loss + (loss - loss).sqrt()


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (lambda: _SteepCorner(0.5), "lower gradient norm is nan at lower step 0"),
        (lambda: _SteepCorner(1.5), "curvature product is nan at upper step 0"),
        (_BrokenUpper, "upper gradient norm is nan at upper step 0"),
        (lambda: SmallProblem(upper_lr=1e308, clip_norm=None, upper_steps=1), "distance of the backbones is .* alt"),
    ],
)
def test_numbers_that_are_none_are_named_where_they_first_appear(problem, message):
    with pytest.raises(DivergedError, match=message):
        problem().alternate()
