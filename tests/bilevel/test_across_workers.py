"""n workers do what one process does: derivatives, and alternations (two workers ten), with either kind of batch norm.

With synchronised statistics, the one process runs the whole batch through the network. With each worker's own, it runs
every share on its own (`PerWorkerSimulation`). What must be equal is the same in both cases: losses, derivatives and
reports, the parameters of all four modules, and running statistics, where worker r's own are those of the r-th share.
"""

import dataclasses
import functools

import pytest
import torch

from bissl_ray.bilevel import LowerHessian, hypergradient
from bissl_ray.config.settings import SolverSettings
from bissl_ray.parallel import mean_over_workers
from bissl_ray.pretext import pretext_names
from tests.bilevel.pretext_problem import NUMBERS, PROXIMITY, PerWorkerSimulation, WorkerProblem
from tests.processes import run_workers

pytestmark = pytest.mark.slow
MODES = ("synchronised", "per_worker")
EXACT = 1e-9
ALTERNATIONS = {2: NUMBERS["alternations"], 4: 3}
"""By workers: four take as long for three, on two cores, as two for ten."""


def flat(tensors):
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])


def derivatives(problem):
    """Loss, gradient, Hessian-vector product, and hypergradient with its system solved."""
    theta = list(problem.lower.parameters())
    loss = problem.lower_loss(next(problem.views))
    H = LowerHessian(loss, theta)
    labelled = next(problem.labelled)
    v = torch.autograd.grad(problem.upper_loss(problem.lower, labelled), theta)
    direct = torch.autograd.grad(problem.upper_loss(problem.upper, labelled), list(problem.upper.parameters()))
    v, direct = mean_over_workers(v), mean_over_workers(direct)
    settings = SolverSettings(damping=8000.0, cg_iterations=50, cg_tolerance=1e-12)
    result = hypergradient(H, v, direct, settings, PROXIMITY)
    assert result.solution.report.stopped_because == "tolerance"
    return {
        "loss": mean_over_workers([loss])[0],
        "gradient": flat(H.gradient),
        "product": flat(H.matvec([part.sign() for part in v])),
        "implicit part": flat(result.solution.x),
        "hypergradient": flat(result.total),
    }


def course(problem, workers):
    """Derivatives at the start, and the reports of alternations."""
    return derivatives(problem), [dataclasses.asdict(problem.alternate()) for _ in range(ALTERNATIONS[workers])]


def every_course(worker, workers):
    found = {}
    for pretext in pretext_names():
        for mode in MODES:
            problem = WorkerProblem(pretext, mode, worker, workers)
            found[pretext, mode] = (*course(problem, workers), problem.states())
    return found


@pytest.fixture(scope="module", params=[2, 4])
def workers(request):
    """What each worker found."""
    return run_workers(every_course, request.param)


@functools.cache
def one_process(pretext, mode, workers):
    """Derivatives, reports, and for each worker the states it should have."""
    if mode == "synchronised":
        problem = WorkerProblem(pretext, mode)
        return (*course(problem, workers), [problem.states()] * workers)
    problem = PerWorkerSimulation(pretext, workers)
    return (*course(problem, workers), [problem.states_of(worker) for worker in range(workers)])


# What is zero but for rounding: SimSiam's predictor sees embeddings whose mean batch norm has taken out.
ZERO = 1e-15


def relative_error(found, expected):
    difference = (found - expected).double().norm()
    return float(difference / expected.double().norm()) if difference else 0.0


def assert_equal(found, expected):
    """Trees of numbers and tensors, equal to EXACT; what is not a float is the same."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name in expected:
            assert_equal(found[name], expected[name])
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_equal(one, other)
    elif isinstance(expected, torch.Tensor):
        assert found.dtype == expected.dtype
        assert relative_error(found, expected) < EXACT or (found - expected).abs().max() < ZERO
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=EXACT)
    else:
        assert found == expected


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("pretext", pretext_names())
def test_derivatives_equal_those_of_one_process(workers, pretext, mode):
    for worker in workers:
        assert_equal(worker[pretext, mode][0], one_process(pretext, mode, len(workers))[0])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("pretext", pretext_names())
def test_alternations_equal_those_of_one_process(workers, pretext, mode):
    _, reports, states = one_process(pretext, mode, len(workers))
    for worker, state in zip(workers, states, strict=True):
        assert_equal(worker[pretext, mode][1], reports)
        assert_equal(worker[pretext, mode][2], state)


@pytest.mark.parametrize("pretext", pretext_names())
def test_the_two_kinds_of_batch_norm_are_not_mistaken_for_one_another(pretext):
    synchronised, own = (one_process(pretext, mode, 4)[0] for mode in MODES)
    for name, value in synchronised.items():
        assert relative_error(own[name], value) > 1e-3, name
