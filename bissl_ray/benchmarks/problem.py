"""The linear systems of an alternation that `bench hypergradient` solves: real networks and images behind them."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from bissl_ray.benchmarks.settings import bench_settings
from bissl_ray.benchmarks.short_training import Batch, batches_on, fit_head, pretrain, slope
from bissl_ray.bilevel import LowerHessian
from bissl_ray.config.names import RESNETS
from bissl_ray.config.settings import LevelSettings, Settings
from bissl_ray.data import get_dataset
from bissl_ray.data.loaders import OfPair, Samples
from bissl_ray.data.sampling import Stream
from bissl_ray.downstream.classification import ClassificationTask
from bissl_ray.errors import BadInputError
from bissl_ray.models import Backbone, build_backbone
from bissl_ray.models.checkpoints import load_checkpoint
from bissl_ray.models.matching import load_backbone
from bissl_ray.models.timm_backbone import NormAct2d
from bissl_ray.optim.lars import LARS, lower_parameter_groups
from bissl_ray.parallel import frozen_statistics
from bissl_ray.pretext import SimCLR
from bissl_ray.training.clock import now
from bissl_ray.training.worker import Worker

_DATASET = "digits"
_CLASSES = 10
_PRETRAIN_SIZE, _PRETRAIN_BATCH = 32, 64
_HEAD_BATCHES = 16


@dataclass(frozen=True)
class Question:
    """What to build: see `bissl-ray bench hypergradient --help`.

    Attributes:
        backbone: architecture.
        size: side of the images, pixels.
        batch: images of the lower batch, and of each upper batch as far as there are labels, over all workers.
        upper_steps: right-hand sides, one after another.
        pretrain_steps: LARS steps of SimCLR from scratch, where there is no checkpoint.
        pretrained: a checkpoint file, or None.
    """

    backbone: str
    size: int
    batch: int
    upper_steps: int
    pretrain_steps: int
    pretrained: str | None

    def check(self, workers: int) -> None:
        """Raise BadInputError unless the problem can be built on so many workers."""
        bench_settings(backbone=self.backbone, image_size=self.size)
        with torch.device("meta"):
            backbone = build_backbone(self.backbone, image_size=self.size)
        # Half of each share is measured too, and batch statistics want two images of it.
        for name, batch in (("the batch is", self.batch), ("pretraining takes", _PRETRAIN_BATCH)):
            if batch % workers or batch // workers < 4:
                raise BadInputError(
                    f"{name} {batch} images, {workers} workers: expected at least 4 each, and equally many; "
                    "change --batch or --workers"
                )
        pool = len(get_dataset(_DATASET).open(None).pretext)
        if self.batch > pool:
            raise BadInputError(
                f"the batch is {self.batch} images: expected at most {pool}, all that {_DATASET} has without a label; "
                "lower --batch"
            )
        if self.pretrained is not None:
            state = load_checkpoint(self.pretrained).backbone
            load_backbone(backbone.to_empty(device="cpu"), state, self.pretrained)


@dataclass(frozen=True)
class Problem:
    """The upper steps of one alternation, as far as their linear systems go.

    Attributes:
        backbone: θ.
        params: its parameters.
        pretext: SimCLR with its head.
        views: this worker's share of the lower batch.
        slopes: ∇_θ L_D for each upper step, the same on all workers.
        upper_gradients_ms: milliseconds that these took, gradients at θ_D not counted.
    """

    backbone: Backbone
    params: list[nn.Parameter]
    pretext: SimCLR
    views: tuple[Tensor, Tensor]
    slopes: list[tuple[Tensor, ...]]
    upper_gradients_ms: float

    @property
    def device(self) -> torch.device:
        """Where all of it is."""
        return self.params[0].device

    def loss(self) -> Tensor:
        """The pretext loss on this worker's share, with its graph."""
        with frozen_statistics(self.backbone, self.pretext):
            return self.pretext.loss(self.backbone, self.views)

    def hessian(self) -> LowerHessian:
        """The Hessian of `loss`, from one graph."""
        return LowerHessian(self.loss(), self.params)

    def trust_ratios(self) -> list[Tensor]:
        """LARS's ratio of each parameter at the loss's gradient, as a lower step has it (collective)."""
        settings, stepping = LevelSettings(), self.apart()
        named = stepping.backbone.named_parameters()
        groups = lower_parameter_groups(named, settings.lower_weight_decay, settings.exclude_bias_and_norm)
        optimizer = LARS(groups, lr=0.0)
        with stepping.hessian() as H:
            for parameter, gradient in zip(stepping.params, H.gradient, strict=True):
                parameter.grad = gradient.detach()
        optimizer.step()
        return optimizer.ratios(stepping.params)

    def judged(self) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """What the loss judges, with its graph, and the criterion of it: their composition is the loss."""
        with frozen_statistics(self.backbone, self.pretext):
            outputs, targets = self.pretext.outputs(self.backbone, self.views)
        return outputs, lambda values: self.pretext.criterion(values, targets)

    def half(self) -> "Problem":
        """The same with the first half of each worker's images."""
        first, second = (view[: len(view) // 2] for view in self.views)
        return replace(self, views=(first, second))

    def apart(self) -> "Problem":
        """The same on weights of its own: where θ is displaced, other ways' graphs would see it."""
        backbone, pretext = deepcopy(self.backbone), deepcopy(self.pretext)
        return replace(self, backbone=backbone, params=list(backbone.parameters()), pretext=pretext)

    def with_torchs_layers(self) -> "Problem":
        """The same with torch's own batch normalisation and convolution, on weights of its own."""
        other = self.apart()
        for layer in [*other.backbone.modules(), *other.pretext.modules()]:
            for theirs in (nn.Conv2d, nn.BatchNorm1d, nn.BatchNorm2d):
                if isinstance(layer, theirs) and not isinstance(layer, NormAct2d):
                    layer.__class__ = theirs
        return other


def build_problem(question: Question, worker: Worker) -> Problem:
    """Pretrain or load, fit a head, and collect the gradients of the upper loss (collective).

    The head takes a gradient step after each right-hand side, so that these follow each other as in BiSSL.
    """
    torch.manual_seed(0)
    backbone = build_backbone(question.backbone, "synchronised", question.size).to(worker.device)
    pretext = SimCLR(backbone.feature_dim, 256, 256, 0.5, "synchronised").to(worker.device)
    spec = get_dataset(_DATASET)
    splits = spec.open(None)

    def pretext_batches(side: int, batch: int) -> Iterator[Batch]:
        return batches_on(worker, Samples(splits.pretext, SimCLR.views(spec, side)), Stream("pretext", 0, batch))

    # These take images of any size, and learn as much from small ones in this short time.
    any_size = question.backbone in (*RESNETS, "smallconv")
    size = min(question.size, _PRETRAIN_SIZE) if any_size else question.size
    small = pretext_batches(size, _PRETRAIN_BATCH)
    if question.pretrained is None:
        pretrain(backbone, pretext, question.pretrain_steps, small)
    else:
        load_backbone(backbone, load_checkpoint(question.pretrained).backbone, question.pretrained)
    head = nn.Linear(backbone.feature_dim, _CLASSES).to(worker.device)
    sample = OfPair(ClassificationTask.train_sample(spec, Settings(image_size=question.size)))
    labelled = batches_on(worker, Samples(splits.train, sample), Stream("train", 0, question.batch))
    fit_head(backbone, head, [next(labelled) for _ in range(_HEAD_BATCHES)])
    params = list(backbone.parameters())
    begin = now(worker.device)
    slopes = [slope(backbone, params, head, next(labelled)) for _ in range(question.upper_steps)]
    upper_gradients_ms = 1e3 * (now(worker.device) - begin)
    views = next(pretext_batches(question.size, question.batch))
    return Problem(backbone, params, pretext, views, slopes, upper_gradients_ms)
