"""Tensors that can be no weights: what they are, and what to do."""

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

_REAL: Final = "give the real numbers that are meant (tensor.real, or torch.view_as_real)"
_OWN_NUMBERS: Final = "write it with numbers of its own (tensor.clone())"


class NotPlainError(Exception):
    """What a file holds can't be a network's weights; the message says what it is, after "holds".

    Attributes:
        remedy: what to do.
    """

    def __init__(self, name: str, what: str, remedy: str) -> None:
        """`name`: of the tensor; empty: it is no single one."""
        super().__init__(f"{name}, {what}" if name else what)
        self.remedy = remedy


def refuse_odd(state: Mapping[str, Tensor]) -> None:
    """Refuse what computes as no weights do (raises NotPlainError, which names the first such tensor).

    Whole numbers and truths are left to whoever knows what is expected: counters and masks may be among a network's.
    """
    for name, tensor in state.items():
        if (found := _oddity(tensor)) is not None:
            raise NotPlainError(name, *found)


def _oddity(tensor: Tensor) -> tuple[str, str] | None:
    if tensor.is_quantized:
        return "a quantised tensor", "give the weights as they were before, or write tensor.dequantize()"
    if tensor.layout is not torch.strided or tensor.is_nested:
        kind = "nested" if tensor.is_nested else f"sparse ({str(tensor.layout).removeprefix('torch.')})"
        return f"a tensor that is {kind}", "write it dense (tensor.to_dense())"
    if tensor.is_meta:
        return "a tensor without numbers (of the device meta)", "write the model after its weights were loaded"
    if tensor.is_complex():
        return f"a tensor of complex numbers ({_kind(tensor)})", _REAL
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        return f"a tensor of shape {shape_of(tensor)} that is larger than what is stored of it", _OWN_NUMBERS
    if any(size > 1 and step == 0 for size, step in zip(tensor.shape, tensor.stride(), strict=True)):
        return (
            f"a tensor of shape {shape_of(tensor)} that repeats its numbers (expanded, with a stride of 0)",
            _OWN_NUMBERS,
        )
    if tensor.is_floating_point() and not _can_be_computed(tensor):
        return f"a tensor of {_kind(tensor)}, which can't be computed with", "write it as float32"
    return None


def _can_be_computed(tensor: Tensor) -> bool:
    try:
        tensor.reshape(-1)[:1].float()
    except (NotImplementedError, RuntimeError):
        return False
    return True


def _kind(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def shape_of(tensor: Tensor) -> str:
    """The shape for a line; of more dimensions than weights have, their number."""
    return str(tuple(tensor.shape)) if tensor.dim() <= 8 else f"{tensor.dim()} dimensions"
