"""Joint training and continued pretraining against plain autograd, and across workers (issue 16)."""

import copy
import dataclasses

import pytest
import torch
from torch import nn

from bissl_ray.bilevel import DivergedError, Level
from bissl_ray.bilevel.joint import JointTrainer
from bissl_ray.config.settings import BilevelSettings
from tests.bilevel.small_problem import NUMBERS, SmallProblem, nt_xent
from tests.processes import run_workers

WEIGHTS = {"joint": 0.3, "continued": None}


class JointProblem(SmallProblem):
    """The small problem's lower networks and downstream head under a `JointTrainer`."""

    def __init__(self, worker=0, workers=1, weight=0.3, **numbers):
        super().__init__(worker, workers)
        self.joint = JointTrainer(
            Level(self.lower, self.pretext_head, self.pretext_loss, after_step=self.progress_seen.append),
            Level(self.lower, self.downstream_head, self.task_loss),
            BilevelSettings.model_validate({**NUMBERS, **numbers}),
            weight,
        )

    def pretext_loss(self, backbone, views):
        return nt_xent(self.pretext_head(backbone(views)))

    def task_loss(self, backbone, batch):
        return nn.functional.cross_entropy(self.downstream_head(backbone(batch[0])), batch[1])

    def step(self):
        return self.joint.alternation(self.views, self.labelled)

    def trained(self):
        modules = (self.lower, self.pretext_head, self.downstream_head)
        return torch.cat([tensor.detach().reshape(-1).double() for m in modules for tensor in m.state_dict().values()])


def course(worker, workers, weight, numbers):
    problem = JointProblem(worker, workers, weight, **numbers)
    reports = [dataclasses.asdict(problem.step()) for _ in range(2)]
    return problem.trained(), reports


@pytest.mark.parametrize("weight", WEIGHTS.values(), ids=WEIGHTS)
@pytest.mark.parametrize("numbers", [{}, {"lower_optimizer": "sgd", "lower_steps": 3, "upper_steps": 4}])
def test_two_workers_equal_one_on_the_same_global_batches(weight, numbers):
    states, reports = course(0, 1, weight, numbers)
    for found, others in run_workers(course, 2, weight, numbers):
        torch.testing.assert_close(found, states, rtol=1e-9, atol=1e-11)
        for one, other in zip(others, reports, strict=True):
            numbers = {name: value for name, value in other.items() if value is not None}
            assert {name: one[name] for name in numbers} == pytest.approx(numbers, rel=1e-9)


@pytest.mark.parametrize("weight", WEIGHTS.values(), ids=WEIGHTS)
def test_it_steps_along_the_sum_of_both_losses(weight):
    """Two steps of SGD with momentum, a labelled batch on the second alone, written out with one loss each."""
    numbers = {
        "lower_optimizer": "sgd", "lower_steps": 2, "upper_steps": 1, "lower_warmup": 0, "lower_momentum": 0.9,
        "lower_lr": 0.3, "lower_weight_decay": 0.0, "upper_momentum": 0.0, "upper_weight_decay": 0.0, "upper_lr": 0.2,
        "clip_norm": None, "alternations": 1,
    }  # fmt: skip
    problem = JointProblem(weight=weight, **numbers)
    lower, pretext, head = map(copy.deepcopy, (problem.lower, problem.pretext_head, problem.downstream_head))
    views, labelled = copy.deepcopy(problem.views), copy.deepcopy(problem.labelled)
    problem.step()

    moving = torch.optim.SGD([*lower.parameters(), *pretext.parameters()], lr=0.3, momentum=0.9)
    of_head = torch.optim.SGD(head.parameters(), lr=0.2)
    for step, factor in ((0, 1.0), (1, 0.5)):  # the cosine over two steps
        loss = nt_xent(pretext(lower(next(views))))
        if step == 1:
            x, y = next(labelled)
            features = lower(x) if weight is not None else lower(x).detach()
            supervised = nn.functional.cross_entropy(head(features), y)
            # The head's own gradient is not weighted.
            for parameter, gradient in zip(
                head.parameters(), torch.autograd.grad(supervised, head.parameters(), retain_graph=True), strict=True
            ):
                parameter.grad = gradient
            loss = loss if weight is None else loss + weight * supervised
        parameters = [*lower.parameters(), *pretext.parameters()]
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        if step == 1:
            of_head.step()
        moving.param_groups[0]["lr"] = 0.3 * factor
        moving.step()
    for module, reference in (
        (problem.lower, lower),
        (problem.pretext_head, pretext),
        (problem.downstream_head, head),
    ):
        for ours, theirs in zip(module.parameters(), reference.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-13)


def test_labels_leave_the_backbone_alone_where_pretraining_goes_on():
    found = {weight: course(0, 1, weight, {})[0] for weight in (None, 0.0, 0.5)}
    size = sum(tensor.numel() for module in (JointProblem().lower, JointProblem().pretext_head) for tensor in
               module.state_dict().values())  # fmt: skip
    torch.testing.assert_close(found[None][:size], found[0.0][:size], rtol=1e-12, atol=1e-13)
    assert not torch.allclose(found[None][:size], found[0.5][:size])


def test_an_interrupted_run_goes_on_bit_for_bit():
    whole = JointProblem()
    reports = [whole.step() for _ in range(2)]
    begun = JointProblem()
    begun.step()
    state = copy.deepcopy(begun.joint.state_dict())
    rest = JointProblem()
    for module, other in ((rest.lower, begun.lower), (rest.pretext_head, begun.pretext_head), (rest.downstream_head,
                          begun.downstream_head)):  # fmt: skip
        module.load_state_dict(other.state_dict())
    rest.views, rest.labelled = begun.views, begun.labelled
    rest.joint.load_state_dict(state)
    assert rest.step() == reports[1]
    assert torch.equal(rest.trained(), whole.trained())
    assert whole.progress_seen == [0.0, 1 / 6, 2 / 6, 3 / 6]


def test_what_is_not_finite_ends_it():
    problem = JointProblem(lower_lr=1e200, clip_norm=None, lower_optimizer="sgd")
    with pytest.raises(DivergedError, match="gradient norm is inf"):
        for _ in range(3):
            problem.step()
