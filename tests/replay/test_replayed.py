"""A replayed function gives what the function gives, or goes on eagerly and says why once."""

import pytest
import torch
from torch import nn

from bissl_ray.replay import EAGER, ReplayError, Replays
from tests.replay.recorders import FailsToRecord, OutOfMemory, Reruns, SlightlyOff, WrongOnOtherBatches

BROKEN = {
    FailsToRecord: "recording failed (CUDA error: operation not permitted when stream is capturing)",
    OutOfMemory: "there is too little memory for a recording",
    WrongOnOtherBatches: "its replay differs from the eager result by 1.0e-03 (at most 1e-06)",
    SlightlyOff: "its replay differs from the eager result by 1.0e-05 (at most 1e-06)",
}


class Problem:
    """Loss and gradients of a network with batch norm, replayed by some recorder, and by none."""

    def __init__(self, recorder, must=False):
        torch.manual_seed(0)
        self.network = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
        self.lines = []
        self.calls = 0
        self.replays = Replays(recorder, must, lambda: list(self.network.buffers()), self.lines.append)
        self.step = self.replays.of(self.function, "the step")

    def function(self, batch):
        self.calls += 1
        images, labels = batch["images"], batch["labels"]
        loss = nn.functional.cross_entropy(self.network(images), labels)
        return loss.detach(), torch.autograd.grad(loss, list(self.network.parameters()))

    def run(self, steps, shapes=(6,)):
        """Steps of plain gradient descent: losses, and everything at the end."""
        generator = torch.Generator().manual_seed(1)
        losses = []
        for step in range(steps):
            rows = shapes[step % len(shapes)]
            batch = {"images": torch.randn(rows, 4, generator=generator), "labels": torch.arange(rows) % 2}
            loss, gradients = self.step(batch)
            losses.append(loss)
            with torch.no_grad():
                for parameter, gradient in zip(self.network.parameters(), gradients, strict=True):
                    parameter.sub_(gradient, alpha=0.1)
        return [torch.stack(losses), *self.network.state_dict().values()]


def assert_same_bits(found, expected):
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_replayed_steps_are_those_of_the_function_bit_for_bit():
    recorder = Reruns()
    problem = Problem(recorder)
    assert_same_bits(problem.run(6), Problem(None).run(6))
    assert (recorder.recorded, recorder.replayed) == (1, 5)  # twice to check, then three times for good
    assert problem.lines == []


@pytest.mark.parametrize("recorder", BROKEN)
def test_a_broken_recording_changes_no_bit_and_is_said_once(recorder):
    problem = Problem(recorder())
    assert_same_bits(problem.run(6), Problem(None).run(6))
    assert problem.lines == [f"replay, the step: it goes on without, as {BROKEN[recorder]}"]
    before = problem.calls
    problem.run(1)
    assert problem.calls == before + 1


@pytest.mark.parametrize("recorder", BROKEN)
def test_where_replay_is_on_that_is_an_error(recorder):
    with pytest.raises(ReplayError) as caught:
        Problem(recorder(), must=True).run(6)
    expected = f"replay is on, and the step can't be replayed: {BROKEN[recorder]}; set replay to auto or off"
    assert str(caught.value) == expected


def test_batches_of_another_shape_run_eagerly_and_that_is_said_once():
    recorder = Reruns()
    problem = Problem(recorder)
    assert_same_bits(problem.run(9, shapes=(6, 6, 6, 6, 5)), Problem(None).run(9, shapes=(6, 6, 6, 6, 5)))
    assert recorder.recorded == 1
    assert problem.lines == ["replay, the step: batches of another shape run without"]


def test_shapes_that_never_come_twice_are_never_recorded():
    recorder = Reruns()
    problem = Problem(recorder)
    problem.run(6, shapes=(6, 5))
    assert recorder.recorded == 0
    assert len(problem.lines) == 1


@pytest.mark.parametrize("argument", [3.0, [torch.ones(2), "a"], None, torch.ones(2, requires_grad=True)])
def test_what_is_no_nest_of_plain_tensors_runs_eagerly(argument):
    lines = []
    step = Replays(Reruns(), say=lines.append).of(lambda given: given, "the step")
    assert step(argument) is argument
    assert step(argument) is argument
    assert lines == ["replay, the step: it goes on without, as its batches are not plain tensors"]


def test_a_function_that_draws_random_numbers_is_not_recorded():
    lines, found = [], []
    for recorder in (Reruns(), None):
        torch.manual_seed(0)
        step = Replays(recorder, say=lines.append).of(lambda x: x + torch.rand(3), "the step")
        found.append([step(torch.ones(3)) for _ in range(5)])
    assert_same_bits(*found)
    assert lines == ["replay, the step: it goes on without, as it draws random numbers"]


def test_a_run_that_diverges_while_it_is_checked_is_checked_later():
    recorder, lines = Reruns(), []
    step = Replays(recorder, say=lines.append).of(lambda x: (x.sum(), x * 2), "the step")
    for value in (1.0, float("nan"), float("nan"), 2.0, 3.0, 4.0):
        _, doubled = step(torch.full((3,), value))
        assert torch.equal(doubled, torch.full((3,), 2 * value)) or value != value
    assert lines == []
    assert recorder.recorded == 1


def test_results_are_valid_until_the_next_call_and_scalars_for_good():
    step = Replays(Reruns()).of(lambda x: (x.sum(), x * 2), "the step")
    for _ in range(3):
        step(torch.ones(2))
    loss, doubled = step(torch.ones(2))
    other_loss, other_doubled = step(torch.zeros(2))
    assert doubled is other_doubled
    assert (float(loss), float(other_loss)) == (2.0, 0.0)


def test_off_is_the_function_itself():
    assert EAGER.of(len, "the step") is len
