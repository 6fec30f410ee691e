"""A backbone's forward in less memory: activations are dropped, and computed once more when backward needs them.

The values that backward sees are those of the first pass, so the gradient is that of a forward which keeps them. Only
first derivatives are taken of it.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from bissl_ray.errors import BadInputError
from bissl_ray.models.base import Backbone
from bissl_ray.parallel import frozen_statistics


@contextmanager
def recomputed_blocks(backbone: Backbone) -> Iterator[None]:
    """Forwards inside keep what goes into each of the backbone's blocks, and nothing of what happens in it.

    Exact with batch statistics too, over several workers as well: each block meets the whole batch, both times. Running
    statistics move in the first pass alone.

    Raises:
        BadInputError: the backbone has no blocks that could be told apart.
    """
    blocks = backbone.blocks()
    if not blocks:
        raise BadInputError(
            f"lower_memory is blocks, and no blocks were found in {backbone.architecture}; set it to whole, or to "
            "chunks where it has no batch normalisation"
        )
    try:
        for owner, method in blocks:
            # An attribute of the instance goes before the method of its class, and is no part of the state.
            setattr(owner, method, partial(_recomputed, owner, getattr(owner, method)))
        yield
    finally:
        for owner, method in blocks:
            owner.__dict__.pop(method, None)


class InChunks(nn.Module):
    """A backbone whose images pass through in parts, one after another, each of which is recomputed in backward.

    So that a loss which compares images sees the features of all of them, while the activations are those of one part
    (Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup"). Exact where images
    don't meet inside the backbone, which layer norms see to, and batch norms don't.

    Args:
        backbone: without batch normalisation.
        chunks: how many parts, as far as there are images.

    Raises:
        BadInputError: the backbone normalises by batch statistics.
    """

    def __init__(self, backbone: Backbone, chunks: int) -> None:
        super().__init__()
        if meet_in_batch_norm(backbone):
            raise BadInputError(
                f"lower_memory is chunks, and {backbone.architecture} normalises by the statistics of a whole batch, "
                "which its parts don't have; set lower_memory to blocks"
            )
        # Not as a submodule: it would be a second owner of the parameters.
        self._run: Callable[[Tensor], Tensor] = partial(_recomputed, backbone, backbone)
        self._chunks = chunks

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, feature_dim) of images (N, 3, H, W)."""
        return torch.cat([self._run(part) for part in images.chunk(self._chunks)])


def meet_in_batch_norm(backbone: nn.Module) -> bool:
    """Whether what comes of an image depends on the others of its batch, in training."""
    return any(isinstance(module, _BatchNorm) for module in backbone.modules())


def _recomputed(owner: nn.Module, run: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    if not torch.is_grad_enabled():
        return run(*inputs)

    kernels = _attention_kernels()

    def contexts() -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
        return nullcontext(), _as_before(owner, kernels)

    # Nothing in a backbone is random.
    options: dict[str, Any] = {"use_reentrant": False, "preserve_rng_state": False, "context_fn": contexts}
    result: Tensor = checkpoint(run, *inputs, **options)
    return result


@contextmanager
def _as_before(owner: nn.Module, kernels: list[SDPBackend]) -> Iterator[None]:
    with frozen_statistics(owner), sdpa_kernel(kernels):
        yield


def _attention_kernels() -> list[SDPBackend]:
    """Those that may run now: what is recomputed must save the tensors that the first pass would have saved."""
    cuda = torch.backends.cuda
    allowed = {
        SDPBackend.MATH: cuda.math_sdp_enabled,
        SDPBackend.FLASH_ATTENTION: cuda.flash_sdp_enabled,
        SDPBackend.EFFICIENT_ATTENTION: cuda.mem_efficient_sdp_enabled,
        SDPBackend.CUDNN_ATTENTION: cuda.cudnn_sdp_enabled,
    }
    return [kernel for kernel, enabled in allowed.items() if enabled()]  # type: ignore[no-untyped-call]
