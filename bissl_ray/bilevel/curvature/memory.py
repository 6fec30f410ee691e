"""What the curvature of an alternation will take, in bytes, known before anything runs."""

import math
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bissl_ray.bilevel.alternation_solve import reuses_solution, solve_in_alternation
from bissl_ray.bilevel.curvature.graphs import CurvatureGraph
from bissl_ray.bilevel.curvature.operator import CurvatureOperator
from bissl_ray.bilevel.solvers.known_products import KnownProducts
from bissl_ray.config.settings import SolverSettings

_STAND_IN_ENTRIES = 20_000


@dataclass(frozen=True)
class CurvatureMemory:
    """An estimate in bytes, on one worker, on top of the models and the optimizers; the curvature batch is in it.

    Attributes:
        held: the graph between products; 0 where it is rebuilt for each.
        peak: the most that graph and products take at once, `held` included.
        vectors: what the solves hold of vectors of all parameter entries, recycled products included.
    """

    held: int
    peak: int
    vectors: int

    @property
    def total(self) -> int:
        """The most at once."""
        return self.peak + self.vectors


def curvature_memory(
    build: Callable[[], CurvatureGraph], params: Sequence[Tensor], kept: bool, vectors: int
) -> CurvatureMemory:
    """Build a graph and multiply once with fake tensors, which have a shape but no memory, and count their bytes.

    Exact for the tensors that autograd and the operations make; what is not in it: workspaces inside operations
    (cuDNN's convolutions), what the allocator rounds up (under 10 % as a rule), and what other workers' embeddings
    add to a contrastive loss.

    Args:
        build: builds the graph (of one chunk) on images that it makes itself, so that they are fake too; the modules
            may be real or fake.
        params: the parameters that it is built for.
        kept: whether one graph serves all products, or each gets its own.
        vectors: how many the solves hold at once, as `solver_vectors` says.
    """
    entries = sum(parameter.numel() for parameter in params)
    with FakeTensorMode(allow_non_fake_inputs=True), torch.enable_grad():
        vector = params[0].new_zeros(entries)
        with PeakBytes() as counted:
            graph = build()
            held = counted.live if kept else 0
            graph.product(vector, retain=kept)
    one = entries * params[0].element_size()
    return CurvatureMemory(held, counted.bytes, vectors * one)


def solver_vectors(settings: SolverSettings, solves: int) -> int:
    """How many vectors of all parameter entries the solves of an alternation hold at once, at most.

    Counted while they solve small stand-in systems, right-hand sides and weights per parameter tensor included.

    Args:
        settings: how each is solved; of damping and proximity weights none is read.
        solves: how many follow each other.
    """
    # Tolerance 0: they stop at their last iteration.
    chosen = settings.model_copy(update={"damping": 1.0, "cg_tolerance": 0.0})
    known = KnownProducts.between_solves(settings.recycled_products, settings.solver, settings.cg_tolerance)
    stand_in = _StandIn()
    generator = torch.Generator().manual_seed(0)
    with PeakBytes() as counted:
        if reuses_solution(settings):
            known.carried = torch.randn(_STAND_IN_ENTRIES, generator=generator)
        for _ in range(solves):
            v = [torch.randn(part.shape, generator=generator) for part in stand_in.params]
            solve_in_alternation(stand_in, v, [0.1, 0.2], chosen, known)
    return math.ceil(counted.bytes / (4 * _STAND_IN_ENTRIES))


class _StandIn(CurvatureOperator):
    """A positive diagonal matrix, whose products take no more than their result, on two parameter tensors."""

    def __init__(self) -> None:
        self._diagonal = torch.linspace(0.1, 100.0, _STAND_IN_ENTRIES)
        super().__init__(self._diagonal.chunk(2))

    def _own_product(self, vector: Tensor) -> Tensor:
        return self._diagonal * vector

    def close(self) -> None:
        """Nothing to free."""


class PeakBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the storages of all tensors that operations return inside, until they are freed.

    with PeakBytes() as peak:
        ...
    peak.bytes

    It sees what autograd keeps and what backward makes, on any device and for fake tensors too. Tensors from before
    are not counted, nor is what an operation needs while it runs (workspaces, reordered copies), nor what an
    allocator rounds up or keeps. On CUDA, torch.cuda.max_memory_allocated counts the latter as well.

    Attributes:
        live: bytes that are alive now.
        bytes: the most that were alive at once.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = 0
        self.bytes = 0
        self._counted: set[int] = set()

    def __enter__(self) -> Self:
        """Count from now on."""
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation and count the storages that it made."""
        result = func(*args, **(kwargs or {}))
        returns = func._schema.returns
        for declared, value in zip(returns, (result,) if len(returns) == 1 else result or (), strict=True):
            # A return that is declared an alias (a view, an in-place result) has an argument's storage.
            if declared.alias_info is None:
                for leaf in tree_leaves(value):
                    if isinstance(leaf, Tensor):
                        self._count(leaf)
        return result

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._counted:
            return
        self._counted.add(key)
        self.live += size
        self.bytes = max(self.bytes, self.live)
        # torch keeps a storage's Python object as long as the storage itself.
        weakref.finalize(storage, self._forgetter(key, size)).atexit = False

    def _forgetter(self, key: int, size: int) -> Callable[[], None]:
        def forget() -> None:
            self._counted.discard(key)
            self.live -= size

        return forget
