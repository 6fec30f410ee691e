"""Recorders for machines without a GPU: what is recorded is run again, into the same tensors; some do it wrong."""

from contextlib import nullcontext

import torch


class Reruns:
    """As a CUDA graph to whoever looks: inputs are copied in, results always stand in the same tensors.

    Attributes:
        recorded: how many functions.
        replayed: how many times, all together.
    """

    def __init__(self):
        self.recorded = self.replayed = 0

    def around(self):
        return nullcontext()

    def record(self, function, inputs, after=None):
        self.recorded += 1
        given = [tensor.clone() for tensor in inputs]
        function(given)  # as a recording warms up
        return _Rerun(self, function, given, [result.clone() for result in function(given)])

    def result(self, result, inputs):
        return result


class _Rerun:
    def __init__(self, recorder, function, given, results):
        self._recorder, self._function, self._given, self._results = recorder, function, given, results

    def replay(self, inputs):
        self._recorder.replayed += 1
        for place, tensor in zip(self._given, inputs, strict=True):
            place.copy_(tensor)
        for place, result in zip(self._results, self._function(self._given), strict=True):
            place.copy_(self._recorder.result(result, inputs))
        return self._results


class FailsToRecord(Reruns):
    """As where an operation can't be recorded."""

    def record(self, function, inputs, after=None):
        function([tensor.clone() for tensor in inputs])
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nmore lines")


class OutOfMemory(Reruns):
    """As where the memory of a recording doesn't fit."""

    def record(self, function, inputs, after=None):
        try:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        finally:
            raise RuntimeError("CUDA error: operation failed due to a previous error during capture")


class WrongOnOtherBatches(Reruns):
    """Right on what was recorded; as where a part of it depends on the batch and was frozen."""

    def record(self, function, inputs, after=None):
        self.first = [tensor.clone() for tensor in inputs]
        return super().record(function, inputs, after)

    def result(self, result, inputs):
        same = all(torch.equal(one, other) for one, other in zip(self.first, inputs, strict=True))
        return result if same or not result.is_floating_point() else result * (1 + 1e-3)


class SlightlyOff(Reruns):
    """Wrong from the beginning, by little."""

    def result(self, result, inputs):
        return result * (1 + 1e-5)
