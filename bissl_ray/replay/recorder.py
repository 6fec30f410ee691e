"""Recording a function into a CUDA graph. None of it has ever run on a GPU: setting `replay` is off by default."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import torch
from torch import Tensor

Flat = Callable[[list[Tensor]], list[Tensor]]
"""From a list of tensors to a list of tensors, of the same shapes whenever it is called."""


class Recording(Protocol):
    """A function as it was recorded."""

    def replay(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Run it on other inputs, which are copied to where the recorded ones were.

        Returns:
            The results, always the same tensors: what they hold is valid until the next replay, of this recording or of
            one that it was recorded after.
        """
        ...


class Recorder(Protocol):
    """Makes recordings. Another one than `CudaRecorder` lets the rest be tested without a GPU."""

    def around(self) -> AbstractContextManager[None]:
        """Where everything must run that shares tensors with what is recorded, before and after."""
        ...

    def record(self, function: Flat, inputs: Sequence[Tensor], after: Recording | None = None) -> Recording:
        """Record a function; it runs meanwhile, so that whoever calls puts back what it changes.

        Args:
            function: it reads and writes no other memory than that of its inputs and of tensors that stay where they
                are (parameters, buffers); everything on one device.
            inputs: of the right shapes.
            after: a recording whose tensors it goes on with, and which is always replayed before it.

        Raises:
            RuntimeError: it can't be recorded, or there isn't enough memory.
        """
        ...


class CudaRecorder:
    """Records into CUDA graphs.

    Each recording has a pool of memory of its own, which it keeps until it is forgotten: what one computes in passing
    must not overwrite the results of another. Only one that goes on with another's tensors shares that one's pool.

    Other threads (loaders that pin memory, copies ahead) go on calling CUDA meanwhile, and must: "thread_local" forbids
    the unsafe calls to the recording thread alone.

    What is eager runs on the same stream (`around`): a graph that is still alive, such as that of the curvature, ties
    its parameters to the stream that it was built on, and a recording can't wait for another one.

    Args:
        device: a CUDA device.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    @contextmanager
    def around(self) -> Iterator[None]:
        """On the stream that records."""
        outside = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(outside)
        try:
            with torch.cuda.stream(self._stream):
                yield
        finally:
            outside.wait_stream(self._stream)

    def record(self, function: Flat, inputs: Sequence[Tensor], after: Recording | None = None) -> Recording:
        """As `Recorder`; runs once on its stream before it records, so that libraries make their workspaces."""
        assert after is None or isinstance(after, _CudaRecording)
        given = [torch.empty_like(tensor).copy_(tensor) for tensor in inputs]
        with self.around():
            function(given)
        graph = torch.cuda.CUDAGraph()
        pool = None if after is None else after.graph.pool()
        with torch.cuda.graph(graph, pool=pool, stream=self._stream, capture_error_mode="thread_local"):
            results = function(given)
        return _CudaRecording(graph, given, results)


class _CudaRecording:
    def __init__(self, graph: torch.cuda.CUDAGraph, given: list[Tensor], results: list[Tensor]) -> None:
        self.graph, self._given, self._results = graph, given, results

    def replay(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        torch._foreach_copy_(self._given, list(inputs))
        self.graph.replay()
        return self._results
