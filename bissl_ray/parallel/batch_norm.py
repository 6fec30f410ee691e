"""Batch normalisation over all workers or per worker, and a way to hold statistics still."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bissl_ray.errors import nearest
from bissl_ray.parallel.batch_norm_function import batch_norm
from bissl_ray.parallel.collectives import Group, world_size

BatchNormMode = Literal["synchronised", "per_worker"]


class _TwiceDifferentiable(_BatchNorm):
    """Parameters, buffers and keys are torch's own; the derivatives are those of `batch_norm_function`.

    Workers may bring unlike numbers of rows, but at least one each. Normalisation uses the biased variance, the running
    statistics the unbiased one.
    """

    group: Group = None
    spans_workers: bool

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `[rows, channels, ...]`, this worker's share of the global batch.

        Raises:
            ValueError: in training, less than two values per channel.
        """
        if not self.training:
            return super().forward(x)
        self._check_input_dim(x)  # type: ignore[no-untyped-call]
        own = x.numel() // x.shape[1]
        if own * (world_size(self.group) if self.spans_workers else 1) < 2:
            raise ValueError(f"found {own} values per channel: batch statistics need 2 or more; use a larger batch")
        wide = torch.promote_types(x.dtype, torch.float32)
        weight = self.weight if self.affine else torch.ones(x.shape[1], dtype=wide, device=x.device)
        bias = self.bias if self.affine else torch.zeros(x.shape[1], dtype=wide, device=x.device)
        y, mean, variance, number = batch_norm(x, weight, bias, self.eps, self.group, self.spans_workers)
        if self.track_running_stats:
            # In double, as Python's own numbers: with one worker or with several, the factor is rounded once.
            wide_number = number.double() if isinstance(number, Tensor) else number
            self._update_running(mean, variance * (wide_number / (wide_number - 1)))
        return y

    def __deepcopy__(self, memo: dict[int, Any]) -> "_TwiceDifferentiable":
        """Copy all but the process group, which can't be copied: the copy belongs to the same workers."""
        memo[id(self.group)] = self.group
        duplicate = type(self).__new__(type(self))
        duplicate.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return duplicate

    @torch.no_grad()
    def _update_running(self, mean: Tensor, unbiased_variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        for running, batch in ((self.running_mean, mean), (self.running_var, unbiased_variance)):
            # torch's rule: no momentum means the plain average over all batches seen. Their number stays on the
            # device: fetching it would stall every layer of every forward that re-estimates statistics.
            seen = self.num_batches_tracked.to(running.dtype)
            running.lerp_(batch.to(running.dtype), seen.reciprocal() if self.momentum is None else self.momentum)


class SynchronisedBatchNorm1d(_TwiceDifferentiable, nn.BatchNorm1d):
    """`torch.nn.BatchNorm1d` whose batch statistics span all workers; differentiable twice."""

    spans_workers = True


class SynchronisedBatchNorm2d(_TwiceDifferentiable, nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d` whose batch statistics span all workers; differentiable twice."""

    spans_workers = True


class PerWorkerBatchNorm1d(_TwiceDifferentiable, nn.BatchNorm1d):
    """`torch.nn.BatchNorm1d` with a quicker second derivative."""

    spans_workers = False


class PerWorkerBatchNorm2d(_TwiceDifferentiable, nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d` with a quicker second derivative."""

    spans_workers = False


_CLASSES: dict[str, dict[type[_BatchNorm], type[_TwiceDifferentiable]]] = {
    "synchronised": {
        nn.BatchNorm1d: SynchronisedBatchNorm1d,
        nn.BatchNorm2d: SynchronisedBatchNorm2d,
        PerWorkerBatchNorm1d: SynchronisedBatchNorm1d,
        PerWorkerBatchNorm2d: SynchronisedBatchNorm2d,
    },
    "per_worker": {
        nn.BatchNorm1d: PerWorkerBatchNorm1d,
        nn.BatchNorm2d: PerWorkerBatchNorm2d,
        SynchronisedBatchNorm1d: PerWorkerBatchNorm1d,
        SynchronisedBatchNorm2d: PerWorkerBatchNorm2d,
    },
}


def convert_batch_norm(module: nn.Module, mode: BatchNormMode, group: Group = None) -> nn.Module:
    """Make every batch normalisation of a module tree span all workers, or each worker's own batch.

    Args:
        module: the tree; its other modules are changed in place.
        mode: "synchronised" (statistics of the global batch) or "per_worker" (each worker then also keeps running
            statistics of its own).
        group: the workers; None for all.

    Returns:
        `module`, or its replacement when it is a batch normalisation itself. Parameters and buffers are
        shared with what was replaced, so optimizers built before stay valid.

    Raises:
        ValueError: an unknown mode.
    """
    if mode not in _CLASSES:
        known = ", ".join(_CLASSES)
        raise ValueError(f"unknown batch norm mode {mode!r}: expected one of {known}{nearest(mode, _CLASSES)}")
    return _convert(module, _CLASSES[mode], group, {})


def _convert(
    module: nn.Module,
    classes: dict[type[_BatchNorm], type[_TwiceDifferentiable]],
    group: Group,
    converted: dict[nn.Module, nn.Module],
) -> nn.Module:
    if module in converted:  # the same module in two places stays one module
        return converted[module]
    replacement = module
    if isinstance(module, _BatchNorm) and type(module) in classes:
        replacement = classes[type(module)](
            module.num_features, module.eps, module.momentum, module.affine, module.track_running_stats
        )
        replacement.register_parameter("weight", module.weight)
        replacement.register_parameter("bias", module.bias)
        for name, buffer in module.named_buffers(recurse=False):
            replacement.register_buffer(name, buffer)
        replacement.train(module.training)
    if isinstance(replacement, _TwiceDifferentiable):
        replacement.group = group
    converted[module] = replacement
    for name, child in module.named_children():
        setattr(module, name, _convert(child, classes, group, converted))
    return replacement


@contextmanager
def frozen_statistics(*modules: nn.Module) -> Iterator[None]:
    """Let training-mode forwards normalise by batch statistics without touching the running ones.

    Inside, running_mean, running_var and num_batches_tracked keep their bits. Works for torch's own batch
    normalisation and ours: both leave the running statistics alone while `track_running_stats` is off.
    """
    layers = {layer for module in modules for layer in module.modules() if isinstance(layer, _BatchNorm)}
    tracked = {layer: layer.track_running_stats for layer in layers}
    try:
        for layer in layers:
            layer.track_running_stats = False
        yield
    finally:
        for layer, before in tracked.items():
            layer.track_running_stats = before
