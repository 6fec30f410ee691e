import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bissl_ray.bilevel import LowerHessian
from bissl_ray.parallel import (
    PerWorkerBatchNorm2d,
    SynchronisedBatchNorm1d,
    SynchronisedBatchNorm2d,
    all_gather,
    convert_batch_norm,
    frozen_statistics,
    rank,
)
from tests.processes import run_workers


def network(momentum=0.1):
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3),
        nn.BatchNorm2d(4, momentum=momentum),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(36, 5),
        nn.BatchNorm1d(5, momentum=momentum),
    ).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def images():
    return torch.randn(8, 2, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def contrastive_loss(embeddings):
    """A small NT-Xent between all rows of all workers; mean over this worker's rows."""
    own = F.normalize(embeddings, dim=1)
    everyone = all_gather(own)
    partner = (torch.arange(len(own)) + rank() * len(own)) ^ 1
    return F.cross_entropy(own @ everyone.T / 0.5, partner)


def curvature(model, rows):
    """Output, gradient, a Hessian-vector product and buffers after one forward on `rows`."""
    output = model(rows)
    H = LowerHessian(contrastive_loss(output), list(model.parameters()))
    v = [torch.linspace(-1, 1, p.numel(), dtype=p.dtype).view(p.shape) for p in model.parameters()]
    return output.detach(), H.gradient, H.matvec(v), list(model.buffers())


def work(rank, count):
    # A group of its own and a copy of the model: both are what BYOL's target network needs.
    model = copy.deepcopy(convert_batch_norm(network(), "synchronised", torch.distributed.new_group()))
    return curvature(model, images().chunk(count)[rank])


@pytest.mark.parametrize("count", [2, 4])
def test_workers_equal_one_process_on_the_global_batch(count):
    output, gradient, product, buffers = curvature(network(), images())
    results = run_workers(work, count)
    close = {"rtol": 1e-10, "atol": 1e-12}
    torch.testing.assert_close(torch.cat([result[0] for result in results]), output, **close)
    for result in results:
        torch.testing.assert_close(result[1], gradient, **close)
        torch.testing.assert_close(result[2], product, **close)
        torch.testing.assert_close(result[3], buffers, **close)


def summed_curvature(model, rows, workers=1):
    """As `curvature`, of a loss that is a sum over rows, of which workers may have unlike numbers."""
    output = model(rows)
    # The mean over workers of each one's own loss is what is differentiated.
    H = LowerHessian(workers * output.sin().square().sum(), list(model.parameters()))
    v = [torch.linspace(-1, 1, p.numel(), dtype=p.dtype).view(p.shape) for p in model.parameters()]
    return H.gradient, H.matvec(v), list(model.buffers())


def uneven_work(rank, count):
    return summed_curvature(
        convert_batch_norm(network(), "synchronised"),
        images()[: sum([1, 5, 2][:count])].split([1, 5, 2][:count])[rank],
        count,
    )


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3])
def test_workers_with_unlike_numbers_of_rows_equal_one_process(count):
    expected = summed_curvature(network(), images()[: sum([1, 5, 2][:count])])
    for result in run_workers(uneven_work, count):
        torch.testing.assert_close(result, expected, rtol=1e-10, atol=1e-12)


def running_in_float32(rank, count):
    """Running statistics after one forward on equal shares, and as the workers' own plain means give them."""
    x = 3 * torch.randn(16, 5, generator=torch.Generator().manual_seed(rank)) + 1
    norm = convert_batch_norm(torch.nn.BatchNorm1d(5, momentum=1.0), "synchronised")
    norm(x)
    _, mean, inverse = torch.native_batch_norm(x, None, None, None, None, True, 0.0, norm.eps)
    means, variances = all_gather(mean[None]), all_gather((inverse.pow(-2) - norm.eps)[None])
    joint = means.mean(0)
    biased = variances.mean(0) + (means - joint).square().mean(0)
    rows = 16 * count
    return norm.running_mean, norm.running_var, joint, biased * (rows / (rows - 1))


@pytest.mark.parametrize("count", [1, 2, 4])
def test_equal_shares_give_the_bits_of_plain_means(count):
    """A sweep's figures are the same from release to release only if these are."""
    found = [running_in_float32(0, 1)] if count == 1 else run_workers(running_in_float32, count)
    for mean, variance, expected_mean, expected_variance in found:
        assert torch.equal(mean, expected_mean) and torch.equal(variance, expected_variance)


def test_one_process_equals_torch_with_double_backward_and_cumulative_statistics():
    ours = convert_batch_norm(network(momentum=None), "synchronised")
    assert isinstance(ours[1], SynchronisedBatchNorm2d)
    assert isinstance(ours[5], SynchronisedBatchNorm1d)
    torchs = network(momentum=None)
    torch.testing.assert_close(curvature(ours, images()), curvature(torchs, images()))
    torch.testing.assert_close(ours.eval()(images()), torchs.eval()(images()))


@pytest.mark.parametrize("momentum", [0.1, None])
def test_no_forward_waits_for_a_number_from_the_device(momentum):
    model = convert_batch_norm(network(momentum), "synchronised").to("meta")
    assert model(images().to("meta")).shape == (8, 5)  # the meta device has no numbers to give


def test_conversion_shares_parameters_and_buffers_and_can_be_undone():
    model = network()
    before = {name: tensor.data_ptr() for name, tensor in model.state_dict().items()}
    convert_batch_norm(model, "synchronised")
    assert {name: tensor.data_ptr() for name, tensor in model.state_dict().items()} == before
    assert copy.deepcopy(model).state_dict().keys() == before.keys()
    convert_batch_norm(model, "per_worker")
    assert type(model[1]) is PerWorkerBatchNorm2d
    assert {name: tensor.data_ptr() for name, tensor in model.state_dict().items()} == before


def test_an_unknown_mode_is_named_with_the_nearest():
    with pytest.raises(ValueError, match=r"'synchronized'.*did you mean 'synchronised'"):
        convert_batch_norm(network(), "synchronized")


@pytest.mark.parametrize("mode", ["synchronised", "per_worker"])
def test_a_single_value_per_channel_has_no_statistics(mode):
    layer = convert_batch_norm(nn.BatchNorm1d(3), mode)
    with pytest.raises(ValueError, match="found 1 values per channel: batch statistics need 2 or more"):
        layer(torch.ones(1, 3))
    assert layer.num_batches_tracked == 0
    assert layer.eval()(torch.ones(1, 3)).shape == (1, 3)


def frozen_forward(rank, count):
    model = convert_batch_norm(network(), "synchronised")
    rows = images().chunk(count)[rank]
    model(rows)
    before = [buffer.clone() for buffer in model.buffers()]
    with frozen_statistics(model):
        frozen = model(rows)
    unmoved = all(torch.equal(old, new) for old, new in zip(before, model.buffers(), strict=True))
    return unmoved, torch.equal(frozen, model(rows)), torch.equal(before[0], next(model.buffers()))


@pytest.mark.parametrize("count", [1, 2])
def test_frozen_statistics_stay_bit_equal_and_normalise_by_the_batch(count):
    results = [frozen_forward(0, 1)] if count == 1 else run_workers(frozen_forward, count)
    # Unmoved inside, same output as an ordinary training forward, moved again outside.
    assert results == [(True, True, False)] * count


def test_evaluation_inside_frozen_statistics_uses_the_running_ones():
    model = network().eval()
    expected = model(images())
    with frozen_statistics(model):
        assert torch.equal(model(images()), expected)
