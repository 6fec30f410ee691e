import copy
import dataclasses
import math
import pickle

import pytest
import torch
from torch import nn
from torch.func import functional_call

from bissl_ray.bilevel import BilevelTrainer, DivergedError, Level
from bissl_ray.config.settings import BilevelSettings
from tests.bilevel.pretext_problem import WorkerProblem
from tests.bilevel.small_problem import SmallProblem, nt_xent
from tests.processes import run_workers


def two_alternations(worker, workers, numbers):
    problem = SmallProblem(worker, workers, **numbers)
    reports = [dataclasses.asdict(problem.alternate()) for _ in range(2)]
    return problem.states(), reports


@pytest.mark.slow
@pytest.mark.parametrize(
    "numbers",
    [
        {},
        {"lower_optimizer": "sgd", "solver": "neumann", "direct_weight": 0.0},
        {"damping": 0.1, "damping_relative": 0.5},
        {"reuse_solution": True},
    ],
)
def test_two_workers_equal_one_on_the_same_global_batches(numbers):
    states, reports = two_alternations(0, 1, numbers)
    for result in run_workers(two_alternations, 2, numbers):
        torch.testing.assert_close(result[0], states, rtol=1e-9, atol=1e-11)
        for one, other in zip(result[1], reports, strict=True):
            numeric = {key: value for key, value in other.items() if isinstance(value, float)}
            assert {key: one.pop(key) for key in numeric} == pytest.approx(numeric, rel=1e-9)
            assert one == {key: value for key, value in other.items() if key not in numeric}


PROXIMITY = (0.5, 0.1, 0.9, 0.2, 0.4, 1.5)


def flat(module):
    return torch.cat([parameter.detach().reshape(-1) for parameter in module.parameters()])


def test_one_alternation_equals_dense_linear_algebra():
    problem = SmallProblem(
        lower_steps=1, upper_steps=1, lower_optimizer="sgd", lower_warmup=0, lower_momentum=0.0, lower_lr=0.3,
        lower_weight_decay=0.0, upper_momentum=0.0, upper_weight_decay=0.0, upper_lr=0.2, direct_weight=0.7,
        clip_norm=None, cg_iterations=200, cg_tolerance=0.0, proximity=PROXIMITY, damping=20.0,
    )  # fmt: skip
    with torch.no_grad():  # θ ≠ θ_D, so that the proximity term counts
        for parameter in problem.lower.parameters():
            parameter.add_(0.1)
    theta, theta_d = flat(problem.lower), flat(problem.upper)
    shapes = {name: parameter.shape for name, parameter in problem.lower.named_parameters()}
    sizes = [shape.numel() for shape in shapes.values()]
    weights = torch.cat([torch.full((n,), w, dtype=torch.float64) for n, w in zip(sizes, PROXIMITY, strict=True)])
    views, (x, y) = copy.deepcopy(problem.views), next(copy.deepcopy(problem.labelled))
    pretext_head, downstream_head = copy.deepcopy(problem.pretext_head), copy.deepcopy(problem.downstream_head)
    backbone = copy.deepcopy(problem.lower)

    def forward(vector, images):
        parts = zip(shapes.items(), vector.split(sizes), strict=True)
        return functional_call(backbone, {name: part.view(shape) for (name, shape), part in parts}, (images,))

    def pretext(vector, images):
        return nt_xent(pretext_head(forward(vector, images)))

    def downstream(vector):
        return nn.functional.cross_entropy(downstream_head(forward(vector, x)), y)

    derive = torch.autograd.functional
    first, second = next(views), next(views)
    head_step = torch.autograd.grad(pretext(theta, first), list(pretext_head.parameters()))
    theta = theta - 0.3 * (derive.jacobian(lambda t: pretext(t, first), theta) + weights * (theta - theta_d))
    with torch.no_grad():
        for parameter, gradient in zip(pretext_head.parameters(), head_step, strict=True):
            parameter.sub_(0.3 * gradient)
    H = derive.hessian(lambda t: pretext(t, second), theta)
    M = torch.diag(weights + 20.0)
    v = derive.jacobian(downstream, theta)
    hypergradient = M @ torch.linalg.solve(M + H, v) + 0.7 * derive.jacobian(downstream, theta_d)
    both = downstream(theta) + 0.7 * downstream(theta_d)
    head = torch.autograd.grad(both, list(downstream_head.parameters()))

    report = problem.alternate()
    assert report.stopped_because == "tolerance"
    torch.testing.assert_close(flat(problem.lower), theta, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(flat(problem.pretext_head), flat(pretext_head), rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(flat(problem.upper), theta_d - 0.2 * hypergradient, rtol=1e-9, atol=1e-11)
    expected_head = flat(downstream_head) - 0.2 * torch.cat([part.reshape(-1) for part in head])
    torch.testing.assert_close(flat(problem.downstream_head), expected_head, rtol=1e-9, atol=1e-11)
    assert report.upper_loss == pytest.approx(float(downstream(theta).detach()))
    assert report.direct_loss == pytest.approx(float(downstream(theta_d).detach()))
    assert report.distance == pytest.approx(float((theta - flat(problem.upper)).norm()))
    assert report.ritz_min >= float(torch.linalg.eigvalsh(M + H)[0]) - 1e-9
    assert report.hypergradient_cosine < 1 - 1e-6


@pytest.mark.parametrize("numbers", [{}, {"damping_relative": 0.5}, {"reuse_solution": True}])
def test_a_reloaded_run_continues_bit_equal(numbers):
    straight, stopped = SmallProblem(**numbers), SmallProblem(**numbers)
    straight.alternate()
    stopped.alternate()
    saved = copy.deepcopy((stopped.states(), stopped.trainer.state_dict()))
    resumed = SmallProblem(**numbers)
    for module, state in zip(resumed.modules(), saved[0], strict=True):
        module.load_state_dict(state)
    resumed.trainer.load_state_dict(saved[1])
    resumed.views, resumed.labelled = copy.deepcopy((straight.views, straight.labelled))
    reports = [straight.alternate(), resumed.alternate()]
    assert reports[0] == reports[1]
    assert reports[0].alternation == 2
    assert straight.progress_seen[2:] == resumed.progress_seen == [2 / 6, 3 / 6]
    for one, other in zip(straight.states(), resumed.states(), strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_schedules_hook_products_and_running_statistics():
    problem = SmallProblem()
    report = problem.alternate()
    assert report.lower_lr == pytest.approx(0.4)  # two warm-up steps of one alternation: the second at the peak
    assert report.upper_lr == pytest.approx(0.1 * 0.5 * (1 + math.cos(math.pi / 6)))
    assert problem.progress_seen == [0, 1 / 6]  # two of the six lower steps of three alternations
    assert report.hvps == 6
    assert 0 < report.cg_residual < 1
    assert 0 < report.ritz_min < report.ritz_max
    # Lower steps only: neither the curvature batch nor downstream data moves the lower statistics.
    assert problem.lower[1].num_batches_tracked == problem.pretext_head[0].num_batches_tracked == 2
    assert problem.upper[1].num_batches_tracked == 2


def test_without_direct_term_its_loss_is_reported_and_its_statistics_move():
    problem = SmallProblem(direct_weight=0.0, solver="identity")
    report = problem.alternate()
    assert report.direct_loss > 0
    assert problem.upper[1].num_batches_tracked == 2
    assert (report.hvps, report.cg_residual, report.ritz_min) == (0, None, None)
    assert report.hypergradient_cosine == pytest.approx(1)


class _Unsolved(WorkerProblem):
    """Notes with how much graph its lower loss is asked for; a curvature must not be."""

    def __init__(self, **numbers):
        super().__init__("simclr", "synchronised", **numbers)
        self.graphs = []

    def lower_loss(self, views):
        loss = super().lower_loss(views)
        self.graphs.append(loss.requires_grad)
        return loss

    def curvature(self, views):
        raise AssertionError("no product is wanted")


@pytest.mark.parametrize("numbers", [{"cg_iterations": 0}, {"solver": "identity"}])
def test_no_graph_is_built_for_the_identity(numbers):
    problem = _Unsolved(**numbers)
    solved = WorkerProblem("simclr", "synchronised", unchecked={"damping": 1e12}, cg_iterations=1)
    report, expected = problem.alternate(), solved.alternate()
    assert problem.graphs == [True, False]  # the lower step, then the batch that H would be taken on
    assert (report.hvps, expected.hvps > 0) == (0, True)
    # The batches are drawn as ever, and the steps are those of a solve in which H has no weight.
    for one, other in zip(problem.states(), solved.states(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9)
    assert torch.equal(next(problem.views), next(solved.views))


def test_divergence_is_named_by_loss_step_and_value():
    problem = SmallProblem()
    problem.alternate()
    problem.loss_factor = math.nan
    with pytest.raises(DivergedError, match="lower loss is nan at lower step 2") as caught:
        problem.alternate()
    assert (caught.value.quantity, caught.value.where) == ("lower loss", "lower step 2")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def diverge_on_one_worker(worker, workers):
    problem = SmallProblem(worker, workers, loss_factor=math.inf if worker == 1 else 1.0)
    with pytest.raises(DivergedError) as caught:
        problem.alternate()
    return caught.value.where


def test_all_workers_stop_when_one_diverges():
    assert run_workers(diverge_on_one_worker, 2) == ["lower step 0"] * 2


def test_batches_that_end_and_unlike_backbones_are_named():
    problem = SmallProblem()
    with pytest.raises(ValueError, match="lower batches ran out"):
        problem.trainer.alternation(iter([next(problem.views)]), problem.labelled)
    with pytest.raises(ValueError, match=r"backbones differ in 0\.weight"):
        BilevelTrainer(
            Level(nn.Sequential(nn.Linear(5, 4, bias=False)), problem.pretext_head, lambda _, x: problem.lower_loss(x)),
            Level(nn.Sequential(nn.Linear(6, 4, bias=False)), problem.downstream_head, problem.upper_loss),
            BilevelSettings(),
            PROXIMITY[0],
        )
    with pytest.raises(ValueError, match="2 weights: expected one number, or 6"):
        SmallProblem(proximity=(0.1, 0.2))
