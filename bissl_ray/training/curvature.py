"""The curvature that a trial's settings ask for, always in IEEE float32; its memory; proximity weights of tensors."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from bissl_ray.bilevel import (
    CurvatureGraph,
    CurvatureOperator,
    DifferencedCurvature,
    DisplacedLoss,
    GradientGraph,
    KeptCurvature,
    OutputGraph,
    RecomputedCurvature,
)
from bissl_ray.bilevel.curvature.memory import CurvatureMemory, curvature_memory, solver_vectors
from bissl_ray.bilevel.curvature.replayed_graphs import ReplayedGraphs
from bissl_ray.bilevel.level import trainable
from bissl_ray.config.names import part_weight
from bissl_ray.config.settings import Settings, SolverSettings
from bissl_ray.models import Backbone
from bissl_ray.parallel import frozen_statistics
from bissl_ray.replay import EAGER, Replays
from bissl_ray.training.models import Models
from bissl_ray.training.precision import exact_arithmetic


def exact_curvature(
    settings: SolverSettings, models: Models, images: int, replays: Replays = EAGER
) -> Callable[[Any], CurvatureOperator]:
    """What `BilevelTrainer` builds its curvature operator with.

    Args:
        settings: curvature, curvature_products, curvature_chunks and solver are read.
        models: the trial's.
        images: this worker's share of the curvature batch, a multiple of curvature_chunks: of its share of a lower
            batch, the first so many are taken.
        replays: records the graph, where one serves all products of an alternation.

    Returns:
        A function from this worker's share of a lower batch to the operator.
    """
    params = trainable(models.lower)
    replayed = ReplayedGraphs(partial(curvature_graph, settings, models), params, replays)

    def build(batch: Any) -> CurvatureOperator:
        chunks = models.pretext.cut(batch, images, settings.curvature_chunks)
        if settings.first_order:
            losses = [partial(models.pretext.loss, models.lower, chunk) for chunk in chunks]
            with exact_arithmetic():
                return _Exact(DifferencedCurvature(losses, params))
        graphs = [partial(curvature_graph, settings, models, chunk) for chunk in chunks]
        with exact_arithmetic():
            if keeps_graph(settings):
                return _Exact(KeptCurvature(replayed(chunks[0]), params))
            return _Exact(RecomputedCurvature(graphs, params))

    return build


def keeps_graph(settings: SolverSettings) -> bool:
    """Whether one graph serves all products of an alternation.

    Not with several chunks: all their graphs would take as much memory as one of the whole batch.
    """
    return settings.curvature_products == "graph" and settings.curvature_chunks == 1


def curvature_graph(settings: SolverSettings, models: Models, batch: Any) -> CurvatureGraph:
    """The graph of the pretext loss on some images, for the kind of curvature that is set.

    Args:
        settings: curvature is read.
        models: the trial's; their running statistics are to be frozen around.
        batch: this worker's share, as the pretext task makes it.
    """
    params = trainable(models.lower)
    if settings.curvature == "hessian":
        return GradientGraph(models.pretext.loss(models.lower, batch), params)
    outputs, targets = models.pretext.outputs(models.lower, batch)
    return OutputGraph(outputs, lambda judged: models.pretext.criterion(judged, targets), params)


class _Exact(CurvatureOperator):
    """Another operator, each of its products in IEEE float32; between them the trial's own precision holds."""

    def __init__(self, operator: CurvatureOperator) -> None:
        super().__init__(operator.params, operator.group)
        self.loss = operator.loss
        self._operator = operator

    def _own_product(self, vector: Tensor) -> Tensor:
        with exact_arithmetic():
            return self._operator._own_product(vector)

    def _own_change(self, displacement: Tensor) -> Tensor:
        with exact_arithmetic():
            return self._operator._own_change(displacement)

    def close(self) -> None:
        """Close the other operator."""
        self._operator.close()


def estimate_curvature_memory(settings: Settings, workers: int = 1) -> CurvatureMemory:
    """Estimate on one worker, in seconds, on the CPU; it takes the memory of the models alone.

    Args:
        settings: the trial's.
        workers: how many share the curvature batch.
    """
    images = (settings.curvature_batch or settings.lower_batch) // (workers * settings.curvature_chunks)
    # The weights don't matter, but drawing them must not change what the caller draws.
    with torch.random.fork_rng(devices=[]):
        models = Models.build(settings, torch.device("cpu"))

    def build() -> CurvatureGraph:
        batch = models.pretext.blank(images, settings.image_size)
        if settings.first_order:
            return DisplacedLoss(partial(models.pretext.loss, models.lower, batch), trainable(models.lower))
        return curvature_graph(settings, models, batch)

    vectors = solver_vectors(settings, settings.upper_steps)
    with frozen_statistics(models.lower, models.pretext):
        return curvature_memory(build, trainable(models.lower), keeps_graph(settings), vectors)


def proximity_weights(settings: SolverSettings, backbone: Backbone) -> float | tuple[float, ...]:
    """λ of every trainable parameter tensor of a backbone.

    Part i, counted from the input, has the weight that is set for it, else proximity_weight · proximity_decay^i.

    Args:
        settings: proximity_weight, proximity_decay and proximity_weight_<part> are read.
        backbone: the architecture that they are for.

    Returns:
        One weight per tensor, in the module's order; a single number where all are equal.
    """
    by_part: dict[str, float] = {}
    for depth, part in enumerate(backbone.parts):
        own: float | None = getattr(settings, part_weight(part))
        by_part[part] = settings.proximity_weight * settings.proximity_decay**depth if own is None else own
    weights = tuple(by_part[part] for part in backbone.parameter_parts())
    return weights[0] if len(set(weights)) == 1 else weights
