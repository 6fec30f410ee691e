"""Batches as a trial draws them: two views of unlabelled images, and classified images to train and to score on."""

from typing import Any

from bissl_ray.config.settings import Settings
from bissl_ray.data import DatasetSpec, Images, Labelled
from bissl_ray.data.loaders import (
    EndlessBatches,
    EvaluationBatches,
    OfPair,
    Samples,
    endless_batches,
    evaluation_batches,
)
from bissl_ray.data.sampling import Share, Stream
from bissl_ray.data.transforms import pretext_transform
from bissl_ray.downstream.classification import ClassificationTask


def pretext_batches(
    source: Images | Labelled, spec: DatasetSpec, *, image_size: int, batch: int, seed: int, **how: Any
) -> EndlessBatches:
    images = source.images if isinstance(source, Labelled) else source
    samples = Samples(images, pretext_transform(spec, image_size))
    return _endless(samples, "pretext", batch, seed, **how)


def train_batches(
    source: Labelled, spec: DatasetSpec, *, image_size: int, batch: int, seed: int, **how: Any
) -> EndlessBatches:
    samples = Samples(source, OfPair(ClassificationTask.train_sample(spec, Settings(image_size=image_size))))
    return _endless(samples, "train", batch, seed, **how)


def _endless(
    samples: Samples, name: str, batch: int, seed: int, first_step: int = 0, processes: int = 0, **share: int
) -> EndlessBatches:
    return endless_batches(samples, Stream(name, seed, batch, first_step), Share(**share), processes)


def scored_batches(
    source: Labelled, spec: DatasetSpec, *, image_size: int, batch: int, processes: int = 0, **share: int
) -> EvaluationBatches:
    samples = Samples(source, OfPair(ClassificationTask.evaluation_sample(spec, Settings(image_size=image_size))))
    return evaluation_batches(samples, batch, Share(**share), processes)


def image_at(source: Images | Labelled, index: int) -> Any:
    """The image alone, without its target if it has one."""
    return source.images[index] if isinstance(source, Labelled) else source[index]
