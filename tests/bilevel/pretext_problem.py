"""A whole BiSSL problem in float64 with a real pretext task: one worker's part of it, and a simulation of all parts.

The global batches are of the same images whatever the number of workers; worker r gets the r-th share of each.
"""

import copy
import itertools

import torch
from torch import nn
from torch.nn import functional as F

from bissl_ray.bilevel import BilevelTrainer, Level, LowerHessian
from bissl_ray.config.settings import BilevelSettings, Settings
from bissl_ray.parallel import convert_batch_norm
from bissl_ray.pretext import build_pretext, cross_correlation, nt_xent, statistics

TEMPERATURE = 0.5
LOWER_IMAGES, UPPER_IMAGES = 48, 24
NUMBERS = {
    "alternations": 10,
    "lower_steps": 1,
    "lower_optimizer": "lars",
    "lower_lr": 0.1,
    "lower_warmup": 2,
    "upper_steps": 2,
    "upper_lr": 0.1,
    "damping": 200.0,
    "solver": "cg",
    "cg_iterations": 5,
    "cg_tolerance": 0.2,
}
PROXIMITY = (0.3, 0.1, 0.2, 0.5, 0.05)


class TinyConvolutions(nn.Module):
    """A convolution with batch norm and one without: five parameter tensors, ten features."""

    feature_dim = 10

    def __init__(self):
        super().__init__()
        first, second = nn.Conv2d(3, 6, 3, bias=False), nn.Conv2d(6, 10, 3)
        self.layers = nn.Sequential(first, nn.BatchNorm2d(6), nn.ReLU(), second, nn.ReLU())

    def forward(self, images):
        return self.layers(images).mean(dim=(2, 3))


def build(pretext, batch_norm):
    """Lower backbone, pretext task, upper backbone and downstream head, the same whenever it is called."""
    torch.manual_seed(3)
    settings = Settings(
        backbone="smallconv", pretext=pretext, batch_norm=batch_norm, temperature=TEMPERATURE,
        projector_width=16, projector_output=8, target_momentum=0.9,
    )  # fmt: skip
    lower = convert_batch_norm(TinyConvolutions().double(), batch_norm)
    task = build_pretext(settings, lower)
    return lower, task, copy.deepcopy(lower), nn.Linear(10, 3).double()


def lower_batches():
    """Views, (2, images, 3, 6, 6): each image, changed in two ways."""
    generator = torch.Generator().manual_seed(4)
    images = torch.randn(5, 1, LOWER_IMAGES, 3, 6, 6, dtype=torch.float64, generator=generator)
    return images + 0.5 * torch.randn(5, 2, LOWER_IMAGES, 3, 6, 6, dtype=torch.float64, generator=generator)


def upper_batches():
    """Images and their labels."""
    generator = torch.Generator().manual_seed(5)
    return [
        (torch.randn(UPPER_IMAGES, 3, 6, 6, dtype=torch.float64, generator=generator), torch.arange(UPPER_IMAGES) % 3)
        for _ in range(4)
    ]


class WorkerProblem:
    """What one worker holds: the modules, its share of endless batches, and the trainer.

    Numbers are settings; `unchecked` are settings too, but past their check.
    """

    def __init__(self, pretext, batch_norm, worker=0, workers=1, **numbers):
        self.lower, self.task, self.upper, self.head = build(pretext, batch_norm)
        self.views = itertools.cycle([batch.chunk(workers, dim=1)[worker] for batch in lower_batches()])
        self.labelled = itertools.cycle(
            [(images.chunk(workers)[worker], labels.chunk(workers)[worker]) for images, labels in upper_batches()]
        )
        self.trainer = self.train(**numbers)

    def train(self, unchecked=None, **numbers):
        return BilevelTrainer(
            Level(
                self.lower,
                self.task,
                lambda _, batch: self.lower_loss(batch),
                after_step=self.after_lower_step,
                curvature=self.curvature,
            ),
            Level(self.upper, self.head, self.upper_loss),
            BilevelSettings(**{**NUMBERS, **numbers}).model_copy(update=unchecked),
            PROXIMITY,
        )

    def lower_loss(self, views):
        return self.task.loss(self.lower, tuple(views))

    def upper_loss(self, backbone, batch):
        return F.cross_entropy(self.head(backbone(batch[0])), batch[1])

    def after_lower_step(self, progress):
        self.task.after_step(self.lower, progress)

    def curvature(self, views):
        return LowerHessian(self.lower_loss(views), list(self.lower.parameters()))

    def alternate(self):
        return self.trainer.alternation(self.views, self.labelled)

    def states(self):
        """The state of each of the four modules."""
        return [copy.deepcopy(module.state_dict()) for module in (self.lower, self.task, self.upper, self.head)]


class PerWorkerSimulation(WorkerProblem):
    """One process that does what workers with batch statistics of their own do together, without any collective.

    Each share of a batch passes through a copy of the networks. The copies have one set of parameters and
    running statistics of their own. Embeddings that images are compared by are then put side by side; where images are
    not compared, the loss is the mean of the shares' losses.
    """

    def __init__(self, pretext, workers, **numbers):
        super().__init__(pretext, "per_worker", **numbers)
        self.pretext, self.workers = pretext, workers
        self.lower, self.task, self.upper = (
            copies_of_one(module, workers) for module in (self.lower, self.task, self.upper)
        )
        self.trainer = self.train(**numbers)

    def lower_loss(self, views):
        shares = list(zip(self.task, self.lower, views.chunk(self.workers, dim=1), strict=True))
        if self.pretext in ("byol", "simsiam"):
            return torch.stack([task.loss(backbone, tuple(share)) for task, backbone, share in shares]).mean()
        if self.pretext == "simclr":
            embeddings = [task.projector(backbone(share.flatten(0, 1))).chunk(2) for task, backbone, share in shares]
            return nt_xent(torch.cat([own[view] for view in (0, 1) for own in embeddings]), TEMPERATURE)
        embeddings = torch.stack(
            [torch.cat([task.projector(backbone(share[view])) for task, backbone, share in shares]) for view in (0, 1)]
        )
        if self.pretext == "vicreg":
            return self.task[0].criterion(*statistics(embeddings))
        assert self.pretext == "barlow_twins", f"say here how {self.pretext} compares images with one another"
        found = cross_correlation(*embeddings)
        return self.task[0].criterion(found, torch.eye(len(found), dtype=found.dtype))

    def upper_loss(self, backbone, batch):
        shares = zip(backbone, batch[0].chunk(self.workers), batch[1].chunk(self.workers), strict=True)
        losses = [F.cross_entropy(self.head(one(images)), labels) for one, images, labels in shares]
        return torch.stack(losses).mean()

    def after_lower_step(self, progress):
        self.task[0].after_step(self.lower[0], progress)

    def states_of(self, worker):
        """The states as that worker has them."""
        modules = (self.lower[worker], self.task[worker], self.upper[worker], self.head)
        return [copy.deepcopy(module.state_dict()) for module in modules]


def copies_of_one(module, count):
    """Copies with the same parameters (not equal ones: the very same) and buffers of their own."""
    copies = nn.ModuleList([copy.deepcopy(module) for _ in range(count)])
    for another in copies:
        for layer, first in zip(another.modules(), copies[0].modules(), strict=True):
            for name, parameter in first.named_parameters(recurse=False):
                layer.register_parameter(name, parameter)
    return copies
