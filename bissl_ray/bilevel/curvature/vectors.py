"""Lists of parameter-shaped tensors, checked, and the one vector of all their entries that solvers work on."""

from collections.abc import Sequence

import torch
from torch import Tensor


def flatten(tensors: Sequence[Tensor]) -> Tensor:
    """Concatenate tensors of any shapes to one vector of all their entries, in order."""
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def unflatten(vector: Tensor, like: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Cut a vector into views shaped as the tensors of `like`."""
    parts = torch.split(vector, [tensor.numel() for tensor in like])
    return tuple(part.view(tensor.shape) for part, tensor in zip(parts, like, strict=True))


def check_params(params: Sequence[Tensor]) -> None:
    """Raise ValueError unless there are parameters, all of one dtype on one device: they become one vector."""
    if len({(parameter.dtype, parameter.device) for parameter in params}) != 1:
        raise ValueError("expected at least one parameter, and all of one dtype on one device")


def check_shapes(v: Sequence[Tensor], params: Sequence[Tensor], name: str = "v") -> None:
    """Raise ValueError, by `name`, unless `v` has one tensor per parameter, each of its shape, dtype and device."""
    if len(v) != len(params):
        raise ValueError(f"{name} has {len(v)} tensors: expected {len(params)}, one per parameter tensor")
    for position, (part, parameter) in enumerate(zip(v, params, strict=True)):
        if part.shape != parameter.shape:
            raise ValueError(
                f"{name}[{position}] has shape {tuple(part.shape)}: expected {tuple(parameter.shape)}, "
                "the shape of its parameter"
            )
        if (part.dtype, part.device) != (parameter.dtype, parameter.device):
            raise ValueError(
                f"{name}[{position}] is {part.dtype} on {part.device}: expected {parameter.dtype} on "
                f"{parameter.device}, as its parameter"
            )
