import pytest
import torch

from bissl_ray.parallel import all_gather, all_reduce_sum, copy_from_first_worker, gather_rows, mean_over_workers
from tests.processes import run_workers

DATA = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(4, 3)


def own_scalar(z, everyone, total):
    """One worker's share of a scalar that couples all rows, by a gather and by a sum."""
    return (z @ everyone.T).exp().sum() + (z.square().sum() * total.cos().sum()) * 0.1


def derivatives(rank, count):
    """Own scalar, and the gradient, third derivative's worth of HVP included, of the sum over workers."""
    torch.manual_seed(0)
    weight = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    direction = torch.randn(3, 2, dtype=torch.float64)
    rows = DATA.chunk(count)[rank]
    z = rows @ weight
    scalar = own_scalar(z, all_gather(z), all_reduce_sum(z.sum(0)))
    (gradient,) = torch.autograd.grad(scalar, weight, create_graph=True)
    (second,) = torch.autograd.grad(gradient, weight, direction, create_graph=True)
    (third,) = torch.autograd.grad(second, weight, direction)
    return [part.detach() for part in (scalar, gradient, second, third)]


def work(rank, count):
    mixed = [torch.full((2,), rank, dtype=torch.float64), torch.full((3, 1), rank + 1.0), torch.ones(1) * rank]
    means = mean_over_workers(mixed)
    own = torch.full((2, 2), float(rank))
    copy_from_first_worker([own])
    return derivatives(rank, count), means, own


def test_three_derivatives_through_two_workers_equal_one_process():
    expected = derivatives(0, 1)
    results = run_workers(work, 2)
    for position, value in enumerate(expected):
        summed = sum(derivative[position] for derivative, _, _ in results)
        torch.testing.assert_close(summed, value, rtol=1e-12, atol=1e-12)
    for _, means, own in results:
        assert [mean.dtype for mean in means] == [torch.float64, torch.float32, torch.float32]
        torch.testing.assert_close(means[0], torch.full((2,), 0.5, dtype=torch.float64))
        torch.testing.assert_close(means[1], torch.full((3, 1), 1.5))
        torch.testing.assert_close(means[2], torch.full((1,), 0.5))
        assert own.eq(0).all()


def gather_uneven(rank, count, shares):
    rows = torch.arange(12).reshape(6, 2)
    return [gather_rows(rows.split(sizes)[rank].to(dtype)) for sizes, dtype in shares]


@pytest.mark.parametrize("workers", [2, 4])
def test_rows_are_gathered_in_order_of_rank_however_many_each_worker_has(workers):
    rest = [0] * (workers - 2)
    dtypes = (torch.float64, torch.int8, torch.float32)
    shares = [([*sizes, *rest], dtype) for sizes, dtype in zip(([1, 5], [6, 0], [0, 6]), dtypes, strict=True)]
    for found in run_workers(gather_uneven, workers, shares):
        for rows, (_, dtype) in zip(found, shares, strict=True):
            assert torch.equal(rows, torch.arange(12).reshape(6, 2).to(dtype))


def gather_nothing(rank, count):
    return gather_rows(torch.zeros(0, 3))


def test_no_rows_anywhere_are_no_rows():
    assert [rows.shape for rows in run_workers(gather_nothing, 2)] == [(0, 3), (0, 3)]
