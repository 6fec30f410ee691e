"""The curvature graph of one trial, recorded once: replayed on each alternation's batch, and for each product."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from bissl_ray.bilevel.curvature.graphs import CurvatureGraph
from bissl_ray.replay import Recording, Replays
from bissl_ray.replay.nest import Signature, difference, opened
from bissl_ray.replay.replayed import CHECKS, differs, in_words
from bissl_ray.replay.replays import EXACT

_WHAT = "the curvature"


class ReplayedGraphs:
    """Builds a curvature graph for each batch, by replay where that is right.

    Two recordings: the graph's forward and backward, whose activations stay in memory of their own, and one product
    that goes on with them. As of `Replayed`, the first alternation is eager, the second is eager and records, and in it
    and the third the loss and the first product are held against the eager ones. Until then both graphs are in memory.

    Args:
        build: builds the graph of a batch, with running statistics frozen and in the arithmetic that holds around.
        params: θ, all of one dtype on one device.
        replays: records.
    """

    def __init__(self, build: Callable[[Any], CurvatureGraph], params: Sequence[Tensor], replays: Replays) -> None:
        self._build, self._replays = build, replays
        self._entries = sum(parameter.numel() for parameter in params)
        self._like = params[0]
        self._signature: Signature | None = None
        self._graph: CurvatureGraph | None = None
        self._of_batch: Recording | None = None
        self._of_product: Recording | None = None
        self._checks_left = CHECKS
        self._given_up = False

    def __call__(self, batch: Any) -> CurvatureGraph:
        """The graph of a batch, valid until the next one is asked for."""
        if self._given_up or not self._replays.records:
            return self._build(batch)
        found = opened(batch)
        if found is None:
            self.give_up("its batches are not plain tensors")
            return self._build(batch)
        leaves, signature = found
        if signature != self._signature:
            if self._signature is not None:
                self.give_up("its batches change in shape")
            self._signature = signature
            return self._build(batch)
        return self._checked(batch, leaves) if self._checks_left else self._replayed(leaves)

    def _replayed(self, leaves: list[Tensor]) -> CurvatureGraph:
        assert self._of_batch is not None and self._of_product is not None
        return _Replayed(self._of_batch.replay(leaves)[0].clone(), self._of_product)

    def _checked(self, batch: Any, leaves: list[Tensor]) -> CurvatureGraph:
        eager = self._build(batch)
        try:
            if self._of_batch is None:
                self._record(leaves)
            replayed = self._replayed(leaves)
        except RuntimeError as error:
            problem = in_words(error)
        else:
            return _Checked(eager, replayed, self)
        self.give_up(problem)
        return eager

    def _record(self, leaves: list[Tensor]) -> None:
        assert self._signature is not None
        signature = self._signature

        def of_batch(inputs: list[Tensor]) -> list[Tensor]:
            with torch.enable_grad():
                self._graph = self._build(signature.nest(inputs))
            return [self._graph.loss]

        def of_product(vector: list[Tensor]) -> list[Tensor]:
            assert self._graph is not None
            return [self._graph.product(vector[0], retain=True)]

        self._of_batch = self._replays.recorder.record(of_batch, leaves)
        some = self._like.detach().new_ones(self._entries)
        self._of_product = self._replays.recorder.record(of_product, [some], after=self._of_batch)

    def hold(self, found: Sequence[Tensor], expected: Sequence[Tensor]) -> None:
        """Hold what was replayed against the eager, once in each checked alternation; give up where it is wrong."""
        apart = difference(found, expected)
        if apart is not None and apart > EXACT:
            self.give_up(differs(apart, EXACT))
        else:
            self._checks_left -= apart is not None

    def give_up(self, why: str) -> None:
        """Go on eagerly; raises ReplayError where replay is on."""
        self._given_up = True
        self._graph = self._of_batch = self._of_product = None
        self._replays.give_up(_WHAT, why)


class _Replayed(CurvatureGraph):
    def __init__(self, loss: Tensor, of_product: Recording) -> None:
        self.loss, self._of_product = loss, of_product

    def product(self, vector: Tensor, retain: bool) -> Tensor:
        # A copy: solvers keep products, and the next replay writes to the same memory.
        return self._of_product.replay([vector])[0].clone()


class _Checked(CurvatureGraph):
    """An eager graph, whose first product is computed by the replayed one too."""

    def __init__(self, eager: CurvatureGraph, replayed: CurvatureGraph, graphs: ReplayedGraphs) -> None:
        self.loss = eager.loss
        self._eager, self._graphs = eager, graphs
        self._replayed: CurvatureGraph | None = replayed

    def product(self, vector: Tensor, retain: bool) -> Tensor:
        expected = self._eager.product(vector, retain)
        replayed, self._replayed = self._replayed, None
        if replayed is not None:
            try:
                found = replayed.product(vector, retain)
            except RuntimeError as error:
                self._graphs.give_up(in_words(error))
                return expected
            self._graphs.hold([replayed.loss, found], [self.loss, expected])
        return expected
