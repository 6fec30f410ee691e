"""How many kernels something launches."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from bissl_ray.benchmarks.gauges import is_kernel
from bissl_ray.training.clock import now


def launches_of(run: Callable[[], object], device: torch.device) -> int:
    """Kernels that it launches on a CUDA device, by torch.profiler; on the CPU, torch's operations that touch values.

    What torch.compile made is not seen on the CPU.

    Args:
        run: what is counted; the first run is not, since it may set something up.
        device: where it runs.
    """
    run()
    if device.type != "cuda":
        operations = _Operations()
        with operations:
            run()
        return operations.count
    now(device)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        run()
        now(device)
    return sum(is_kernel(event) for event in profile.events() or [])


_WITHOUT_VALUES = (
    torch.ops.aten.empty,
    torch.ops.aten.empty_like,
    torch.ops.aten.empty_strided,
    torch.ops.aten.new_empty,
    torch.ops.aten.as_strided_,
    torch.ops.aten._unsafe_view,
)


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Tensor:
        self.count += not (func.is_view or func._overloadpacket in _WITHOUT_VALUES)
        result: Tensor = func(*args, **(kwargs or {}))
        return result
