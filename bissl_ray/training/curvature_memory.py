"""How much memory a trial's curvature will take, from its settings alone."""

import torch

from bissl_ray.bilevel import CurvatureGraph
from bissl_ray.bilevel.memory import CurvatureMemory, curvature_memory, solver_vectors
from bissl_ray.bilevel.stage import trainable
from bissl_ray.config.settings import Settings
from bissl_ray.parallel import frozen_statistics
from bissl_ray.training.curvature import curvature_graph, keeps_graph
from bissl_ray.training.models import Models


def estimate_curvature_memory(settings: Settings, workers: int = 1) -> CurvatureMemory:
    """Estimate on one worker, in seconds, on the CPU; it takes the memory of the models alone.

    Args:
        settings: the trial's.
        workers: how many share the curvature batch.
    """
    images = (settings.curvature_batch or settings.lower_batch) // (workers * settings.curvature_chunks)
    shape = (images, 3, settings.image_size, settings.image_size)
    # The weights don't matter, but drawing them must not change what the caller draws.
    with torch.random.fork_rng(devices=[]):
        models = Models.build(settings, classes=2, device=torch.device("cpu"))

    def build() -> CurvatureGraph:
        return curvature_graph(settings, models, (torch.empty(shape), torch.empty(shape)))

    vectors = solver_vectors(settings.solver, settings.cg_iterations, settings.recycled_products, settings.upper_steps)
    with frozen_statistics(models.lower, models.pretext):
        return curvature_memory(build, trainable(models.lower), keeps_graph(settings), vectors)
