"""What is read of a piece of work while it runs: time, floating-point operations, kernels, memory.

A gauge is started and stopped around the piece, and may be started again at once: a round of work has parts.
"""

import gc
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from bissl_ray.bilevel.curvature.memory import PeakBytes
from bissl_ray.training.clock import now

T = TypeVar("T")
Round = Callable[[Callable[[], None]], None]
"""A round of work, which calls what it is given between two of its parts."""


class Gauge(ABC, Generic[T]):
    """Reads one quantity of what happens between `start` and `stop`."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    @abstractmethod
    def start(self) -> None:
        """From now on."""

    @abstractmethod
    def stop(self) -> T:
        """What was read since `start`."""


def read(round_: Round, gauge: Gauge[T]) -> list[T]:
    """Do a round of work under a gauge; what it read, part by part."""
    found: list[T] = []

    def next_part() -> None:
        found.append(gauge.stop())
        gauge.start()

    gauge.start()
    round_(next_part)
    found.append(gauge.stop())
    return found


class Spent(NamedTuple):
    """Seconds: of the clock, and of all threads of this process on the processors."""

    wall: float
    processors: float


class Clock(Gauge[Spent]):
    """Time, with the device's work done at both ends."""

    def start(self) -> None:
        """From now on."""
        self._wall, self._processors = now(self.device), time.process_time()

    def stop(self) -> Spent:
        """Since `start`."""
        return Spent(now(self.device) - self._wall, time.process_time() - self._processors)


class Peak(Gauge[int]):
    """Most bytes of tensors alive at once, beside those that were there before: as `memory.peak_bytes`."""

    def start(self) -> None:
        """From now on."""
        if self.device.type == "cuda":
            gc.collect()
            torch.cuda.reset_peak_memory_stats(self.device)
            self._before = torch.cuda.memory_allocated(self.device)
        else:
            self._counted = PeakBytes().__enter__()

    def stop(self) -> int:
        """Since `start`."""
        if self.device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self.device)) - self._before
        self._counted.__exit__(None, None, None)  # type: ignore[no-untyped-call]
        return self._counted.bytes


class Flop(Gauge[Mapping[str, int]]):
    """Floating-point operations of matrix products and convolutions, by the arithmetic that they are done in.

    By torch's formulas (torch.utils.flop_counter), of every operation that runs: the forward and both derivatives of
    `models.convolution` among them. What is elementwise counts nothing. torch's own FlopCounterMode also follows the
    modules by hooks, which fail in a second derivative.
    """

    def start(self) -> None:
        """From now on."""
        self._counting = _Counting().__enter__()  # type: ignore[no-untyped-call]

    def stop(self) -> Mapping[str, int]:
        """Since `start`: by dtype, "tf32" where CUDA multiplies float32 so."""
        self._counting.__exit__(None, None, None)
        return dict(self._counting.counts)


class _Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            multiplied = next(each for each in args if isinstance(each, Tensor))
            self.counts[_arithmetic(multiplied)] += formula(*args, **(kwargs or {}), out_val=result)
        return result


def _arithmetic(multiplied: Tensor) -> str:
    modes: Any = torch.backends.cuda.matmul
    if multiplied.is_cuda and multiplied.dtype is torch.float32 and modes.fp32_precision == "tf32":
        return "tf32"
    return str(multiplied.dtype).removeprefix("torch.")


class Kernels(Gauge[float]):
    """Seconds in which a CUDA device ran at least one kernel, by torch.profiler; copies are no kernels.

    Args:
        device: which.
        named: counts only kernels whose names begin so; "" counts all.
    """

    def __init__(self, device: torch.device, named: str = "") -> None:
        super().__init__(device)
        self._named = named

    def start(self) -> None:
        """From now on."""
        now(self.device)
        self._profile = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA])
        self._profile.start()

    def stop(self) -> float:
        """Since `start`."""
        now(self.device)
        self._profile.stop()
        events = self._profile.events() or []  # type: ignore[no-untyped-call]
        kernels = [each for each in events if is_kernel(each) and each.name.startswith(self._named)]
        return 1e-6 * covered((each.time_range.start, each.time_range.end) for each in kernels)


def is_kernel(event: Any) -> bool:
    """Whether an event of torch.profiler is a kernel of a CUDA device, neither a copy nor an annotation."""
    # An optimizer's step stands among the device's events too, as an annotation over its kernels.
    on_device = event.device_type == torch.autograd.DeviceType.CUDA  # type: ignore[attr-defined]
    annotation = getattr(event, "is_user_annotation", False)
    return bool(on_device and not annotation and not event.name.startswith(_NO_KERNELS))


_NO_KERNELS = ("Memcpy", "Memset", "Optimizer.", "ProfilerStep", "nccl:", "gloo:")


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """The length that some spans cover together."""
    total, end = 0.0, float("-inf")
    for begin, last in sorted(spans):
        total += max(0.0, last - max(begin, end))
        end = max(end, last)
    return total
