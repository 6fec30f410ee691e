"""The curvature that a trial's settings ask for, always in IEEE float32."""

from collections.abc import Callable
from functools import partial

from torch import Tensor

from bissl_ray.bilevel import (
    CurvatureGraph,
    CurvatureOperator,
    GradientGraph,
    KeptCurvature,
    OutputGraph,
    RecomputedCurvature,
)
from bissl_ray.bilevel.stage import trainable
from bissl_ray.config.settings import Settings
from bissl_ray.pretext import Views
from bissl_ray.training.models import Models
from bissl_ray.training.precision import exact_arithmetic


def exact_curvature(settings: Settings, models: Models, images: int) -> Callable[[Views], CurvatureOperator]:
    """What `BilevelTrainer` builds its curvature operator with.

    Args:
        settings: curvature, curvature_products and curvature_chunks are read.
        models: the trial's.
        images: this worker's share of the curvature batch, a multiple of curvature_chunks: of its share of a lower
            batch, the first so many are taken.

    Returns:
        A function from this worker's share of a lower batch to the operator.
    """
    params = trainable(models.lower)

    def build(views: Views) -> CurvatureOperator:
        first, second = (view[:images].chunk(settings.curvature_chunks) for view in views)
        chunks = zip(first, second, strict=True)
        graphs = [partial(curvature_graph, settings, models, chunk) for chunk in chunks]
        with exact_arithmetic():
            if keeps_graph(settings):
                return _Exact(KeptCurvature(graphs[0](), params))
            return _Exact(RecomputedCurvature(graphs, params))

    return build


def keeps_graph(settings: Settings) -> bool:
    """Whether one graph serves all products of an alternation.

    Not with several chunks: all their graphs would take as much memory as one of the whole batch.
    """
    return settings.curvature_products == "graph" and settings.curvature_chunks == 1


def curvature_graph(settings: Settings, models: Models, views: Views) -> CurvatureGraph:
    """The graph of the pretext loss on some images, for the kind of curvature that is set.

    Args:
        settings: curvature is read.
        models: the trial's; their running statistics are to be frozen around.
        views: this worker's share of the images.
    """
    params = trainable(models.lower)
    if settings.curvature == "hessian":
        return GradientGraph(models.pretext.loss(models.lower, views), params)
    outputs, targets = models.pretext.outputs(models.lower, views)
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

    def close(self) -> None:
        """Close the other operator."""
        self._operator.close()
