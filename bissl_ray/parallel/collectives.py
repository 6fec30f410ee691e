"""Backward passes whose graph will be differentiated by what came from above, and by nothing else.

A Jacobian-vector product differentiates Jᵀ u by u. torch's own operations see at that moment which derivatives are
wanted; an autograd Function of ours doesn't, and would compute, and keep the tensors for, those by activations and
parameters too. So it asks here when the graph of Jᵀ u is built, and leaves activations and parameters out of it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor

# Of the whole process, not of a thread: on CUDA, backward runs on a thread of its own.
_active = False


@contextmanager
def differentiable_upstream_only() -> Iterator[None]:
    """Backward passes with `create_graph=True` inside can be differentiated by their upstream gradients only."""
    global _active
    before, _active = _active, True
    try:
        yield
    finally:
        _active = before


def upstream_only() -> bool:
    """Whether the backward that runs now is such a one."""
    return _active


Group = dist.ProcessGroup | None


def world_size(group: Group = None) -> int:
    """Number of workers; 1 when torch.distributed is not initialised."""
    return dist.get_world_size(group) if dist.is_available() and dist.is_initialized() else 1


def rank(group: Group = None) -> int:
    """This worker's number, from 0; 0 when torch.distributed is not initialised."""
    return dist.get_rank(group) if dist.is_available() and dist.is_initialized() else 0


def all_reduce_sum(x: Tensor, group: Group = None) -> Tensor:
    """Sum a tensor over workers; differentiable to any order.

    Args:
        x: any shape, the same on all workers.
        group: the workers; None for all.

    Returns:
        A tensor shaped as `x`, the same on every worker; `x` itself with one worker.
    """
    return x if world_size(group) == 1 else cast(Tensor, _AllReduceSum.apply(x, group))


def all_gather(x: Tensor, group: Group = None) -> Tensor:
    """Concatenate the workers' tensors along dimension 0, in order of rank; differentiable to any order.

    Args:
        x: `[rows, ...]`, the same shape on all workers.
        group: the workers; None for all.

    Returns:
        `[workers · rows, ...]`, the same on every worker; `x` itself with one worker.
    """
    return x if world_size(group) == 1 else cast(Tensor, _AllGather.apply(x, group))


@torch.no_grad()
def gather_rows(x: Tensor, group: Group = None) -> Tensor:
    """Concatenate the workers' rows in order of rank, however many each has, none too; not differentiable.

    Args:
        x: `[rows, ...]`, the same on all workers but for the number of rows.
        group: the workers; None for all.

    Returns:
        `[all rows, ...]`, the same on every worker; `x` itself with one worker.
    """
    if world_size(group) == 1:
        return x
    counts = all_gather(torch.tensor([x.shape[0]], device=x.device), group).tolist()
    padded = x.new_zeros((max(*counts, 1), *x.shape[1:]))
    padded[: x.shape[0]] = x
    parts = all_gather(padded, group).chunk(len(counts))
    return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])


class _AllReduceSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Group) -> Tensor:
        ctx.group = group
        total = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return all_reduce_sum(gradients[0], ctx.group), None


class _AllGather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Group) -> Tensor:
        ctx.group, ctx.rows = group, x.shape[0]
        gathered = x.new_empty((world_size(group) * x.shape[0], *x.shape[1:]))
        dist.all_gather_into_tensor(gathered, x.contiguous(), group=group)
        return gathered

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        total = all_reduce_sum(gradients[0], ctx.group)
        return total.narrow(0, rank(ctx.group) * ctx.rows, ctx.rows), None


@torch.no_grad()
def mean_over_workers(tensors: Sequence[Tensor], group: Group = None) -> list[Tensor]:
    """Average tensors over workers, in one all-reduce per dtype; not differentiable.

    Args:
        tensors: any shapes, the same list of shapes on all workers, all on one device.
        group: the workers; None for all.

    Returns:
        Tensors shaped as `tensors`, without graph, the same on every worker. With one worker they share
        memory with `tensors`.
    """
    if world_size(group) == 1:
        return [tensor.detach() for tensor in tensors]
    means: list[Tensor] = list(tensors)
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
        positions = [position for position, tensor in enumerate(tensors) if tensor.dtype == dtype]
        bucket = torch.cat([tensors[position].reshape(-1) for position in positions])
        dist.all_reduce(bucket, group=group)
        bucket /= world_size(group)
        parts = torch.split(bucket, [tensors[position].numel() for position in positions])
        for position, part in zip(positions, parts, strict=True):
            means[position] = part.view(tensors[position].shape)
    return means


@torch.no_grad()
def copy_from_first_worker(tensors: Sequence[Tensor], group: Group = None) -> None:
    """Overwrite tensors in place by those of worker 0, so that all workers hold the same bits."""
    if world_size(group) > 1:
        for tensor in tensors:
            dist.broadcast(tensor.detach(), group=group, group_src=0)
