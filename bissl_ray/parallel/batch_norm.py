"""Batch normalisation over all workers that can be differentiated twice, and a way to hold statistics still.

torch's own SyncBatchNorm has no second derivative (pytorch issue 61222), so a Hessian-vector product
through it fails. Here the batch statistics come from a differentiable gather instead.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bissl_ray.errors import nearest
from bissl_ray.parallel.collectives import Group, all_gather, world_size

BatchNormMode = Literal["synchronised", "per_worker"]


class _Synchronised(_BatchNorm):
    """Normalises by the statistics of the global batch: parameters, buffers and keys are torch's own.

    All workers must bring equally many rows: the workers' means and variances are combined with equal
    weight (Chan, Golub and LeVeque 1979, the parallel variance), in one collective per forward.
    Normalisation uses the biased variance, the running statistics the unbiased one over the global batch.
    """

    group: Group = None

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `[rows, channels, ...]`, this worker's share of the global batch."""
        if not self.training or world_size(self.group) == 1:
            return super().forward(x)
        self._check_input_dim(x)  # type: ignore[no-untyped-call]
        count = x.numel() // x.shape[1] * world_size(self.group)
        dims = [0, *range(2, x.dim())]
        # Statistics of half-precision images are taken in float32, as torch's own kernels do.
        wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        own_variance, own_mean = torch.var_mean(wide, dims, correction=0)
        gathered = all_gather(torch.stack([own_mean, own_variance]).unsqueeze(0), self.group)
        means, variances = gathered.unbind(1)
        mean = means.mean(0)
        variance = variances.mean(0) + (means - mean).square().mean(0)
        if self.track_running_stats:
            self._update_running(mean.detach(), variance.detach() * (count / (count - 1)))
        scale = torch.rsqrt(variance + self.eps)
        shift = -mean * scale
        if self.affine:
            scale = scale * self.weight
            shift = shift * self.weight + self.bias
        shape = [1, -1] + [1] * (x.dim() - 2)
        return torch.addcmul(shift.view(shape), wide, scale.view(shape)).to(x.dtype)

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Synchronised":
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
        # torch's rule: no momentum means the plain average over all batches seen.
        momentum = 1.0 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), momentum)
        self.running_var.lerp_(unbiased_variance.to(self.running_var.dtype), momentum)


class SynchronisedBatchNorm1d(_Synchronised, nn.BatchNorm1d):
    """`torch.nn.BatchNorm1d` whose batch statistics span all workers; any derivative exists."""


class SynchronisedBatchNorm2d(_Synchronised, nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d` whose batch statistics span all workers; any derivative exists."""


_CLASSES: dict[str, dict[type[_BatchNorm], type[_BatchNorm]]] = {
    "synchronised": {
        nn.BatchNorm1d: SynchronisedBatchNorm1d,
        nn.BatchNorm2d: SynchronisedBatchNorm2d,
    },
    "per_worker": {
        SynchronisedBatchNorm1d: nn.BatchNorm1d,
        SynchronisedBatchNorm2d: nn.BatchNorm2d,
    },
}


def convert_batch_norm(module: nn.Module, mode: BatchNormMode, group: Group = None) -> nn.Module:
    """Make every batch normalisation of a module tree span all workers, or each worker's own batch.

    Args:
        module: the tree; its other modules are changed in place.
        mode: "synchronised" (statistics of the global batch) or "per_worker" (torch's own modules; each
            worker then also keeps running statistics of its own).
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
    classes: dict[type[_BatchNorm], type[_BatchNorm]],
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
    if isinstance(replacement, _Synchronised):
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
